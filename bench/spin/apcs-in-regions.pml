/* A normal APC to a lane in critical regions and a special one to a lane in guarded ones, each queued
   by two others. Both are off their queue before they have run, so that they can be queued again. */
#define ROUNDS 2

short counter[2];                             /* KernelApcDisable of A, SpecialApcDisable of B */
bool inserted[2], forced[2], in_progress[2];
byte ran[2];
byte r1[4], r2[4];

/* A lane does nothing while an APC runs in it, or has to run first. */
#define FREE(me) (!forced[me] && !in_progress[me])

proctype target(byte me) {
  byte round;
end:
  do
  :: d_step { round < ROUNDS && FREE(me) -> counter[me]-- };
     d_step { FREE(me) -> r1[me] = ran[me] };
     d_step { FREE(me) -> counter[me]++; if :: inserted[me] -> forced[me] = 1 :: else fi };
     d_step { FREE(me) -> r2[me] = ran[me]; round++ }
  od
}

/* The APC, which interrupts its lane. */
proctype apc(byte me) {
end:
  do
  :: d_step { inserted[me] && !in_progress[me] && counter[me] == 0 ->
              inserted[me] = 0; forced[me] = 0; in_progress[me] = 1 }
  :: d_step { in_progress[me] -> in_progress[me] = 0; ran[me]++ }
  od
}

proctype source(byte me) {
  byte round;
end:
  do
  :: d_step { round < ROUNDS -> r1[me] = !inserted[0]; inserted[0] = 1 };
     d_step { r2[me] = !inserted[1]; inserted[1] = 1; round++ }
  od
}

init {
  atomic {
    run target(0); run target(1); run apc(0); run apc(1); run source(2); run source(3)
  }
  timeout -> printf("outcome %d %d %d %d %d %d %d %d\n",
                    r1[0], r2[0], r1[1], r2[1], r1[2], r2[2], r1[3], r2[3]);
end: false
}
