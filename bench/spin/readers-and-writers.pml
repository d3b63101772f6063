/* Two lanes update two variables under a resource, two read both under it. Who wants to share waits
   behind those that wait for exclusive, until the resource has been free. */
#define ROUNDS 3

byte x, y;
bool owned;                                   /* exclusively */
byte sharers, owners_wait;
bool waits[4], behind[4];
byte r1[4], r2[4];

#define FREED if :: !owned && sharers == 0 -> behind[2] = 0; behind[3] = 0 :: else fi

proctype writer(byte me) {
  byte round, seen;
  short kernel;                               /* KernelApcDisable */
end:
  do
  :: d_step { round < ROUNDS -> kernel--;
       if :: !owned && sharers == 0 -> owned = 1
          :: else -> waits[me] = 1; owners_wait++ fi };
     if
     :: d_step { waits[me] && !owned && sharers == 0 -> waits[me] = 0; owners_wait--; owned = 1 };
        seen = x
     :: d_step { !waits[me] -> seen = x }
     fi;
     x = seen + 1;
     y = seen + 1;
     d_step { owned = 0; FREED; kernel++; round++ }
  od
}

proctype reader(byte me) {
  byte round;
  short kernel;
end:
  do
  :: d_step { round < ROUNDS -> kernel--;
       if :: !owned && (sharers == 0 || owners_wait == 0) -> sharers++
          :: else -> waits[me] = 1; behind[me] = 1 fi };
     if
     :: d_step { waits[me] && !owned && (sharers == 0 || !(behind[me] && owners_wait > 0)) ->
                 waits[me] = 0; behind[me] = 0; sharers++ };
        r1[me] = x
     :: d_step { !waits[me] -> r1[me] = x }
     fi;
     r2[me] = y;
     d_step { sharers--; FREED; kernel++; round++ }
  od
}

init {
  atomic { run writer(0); run writer(1); run reader(2); run reader(3) }
  timeout -> printf("outcome %d %d %d %d %d %d\n", r1[2], r2[2], x, y, r1[3], r2[3]);
end: false
}
