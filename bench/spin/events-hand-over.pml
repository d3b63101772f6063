/* Three lanes fill a slot and three empty it, by two synchronization events. A set satisfies one of the
   waits at once, any one, and signals the event only when nobody waits. */
#define ROUNDS 2

bool signaled[2];                             /* 0: empty, 1: full */
bool waits[6];
byte x;
byte r1[6];

proctype lane(byte me; byte takes) {
  byte round;
  byte gives = 1 - takes;
  byte other = 3 * gives;                     /* the three that wait for what this one gives */
end:
  do
  :: d_step { round < ROUNDS ->
       if :: signaled[takes] -> signaled[takes] = 0 :: else -> waits[me] = 1 fi };
     d_step { !waits[me] -> r1[me] = x };
     x = r1[me] + (takes -> 16 : 1);
     atomic {
       if
       :: waits[other] -> waits[other] = 0
       :: waits[other + 1] -> waits[other + 1] = 0
       :: waits[other + 2] -> waits[other + 2] = 0
       :: else -> signaled[gives] = 1
       fi;
       round++
     }
  od
}

init {
  atomic {
    signaled[0] = 1;
    run lane(0, 0); run lane(1, 0); run lane(2, 0);
    run lane(3, 1); run lane(4, 1); run lane(5, 1)
  }
  timeout -> printf("outcome %d %d %d %d\n", x, r1[0], r1[3], r1[4]);
end: false
}
