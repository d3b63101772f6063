/* Lanes that bump a counter by a load and a store, without a lock. */
#define LANES 4
#define ROUNDS 3

byte x;

proctype lane() {
  byte round, r1;
end:
  do
  :: d_step { round < ROUNDS -> r1 = x };
     d_step { x = r1 + 1; round++ }
  od
}

init {
  byte n;
  atomic {
    do
    :: n < LANES -> run lane(); n++
    :: else -> break
    od;
    n = 0
  }
  timeout -> printf("outcome %d\n", x);
end: false
}
