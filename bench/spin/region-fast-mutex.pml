/* Lanes that bump a counter under a fast mutex, each time inside a critical region. */
#ifndef LANES
#define LANES 4
#endif
#ifndef ROUNDS
#define ROUNDS 3
#endif
#define NOBODY 255

byte x, holder = NOBODY;

proctype lane(byte me) {
  byte round, r1, irql;
  short kernel;          /* KernelApcDisable */
end:
  do
  :: d_step { round < ROUNDS -> kernel-- };
     d_step { holder == NOBODY -> holder = me; irql = 1 };
     r1 = x;
     x = r1 + 1;
     d_step { holder = NOBODY; irql = 0 };
     d_step { kernel++; round++ }
  od
}

init {
  byte n;
  atomic {
    do
    :: n < LANES -> run lane(n); n++
    :: else -> break
    od;
    n = 0
  }
  timeout -> printf("outcome %d\n", x);
end: false
}
