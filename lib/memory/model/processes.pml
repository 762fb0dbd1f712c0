/* The processes, and what must be true whenever all is quiet. */

#define own(n)    ((me - 1) * 2 + (n))
#define refers(x) (cell[x] != NONE)
#define free_cell (refers(own(0)) -> own(1) : own(0))
#define has_room  (!refers(own(0)) || !refers(own(1)))
#define is_ready  (is_worker && !taken_over[me - 1])
#define may_lock  (is_ready && guard == NONE)

/* What refers to a live object keeps it so. */
inline use(source)
{
    o = cell[source] - 1;
    assert(word[o].state == is_live && word[o].count >= 1)
}

inline attach(source, target)
{
    use(source); what = attaching; c = target
}

inline detach(source, state)
{
    use(source); what = detaching; c = source; last = state
}

inline move(source, target)
{
    use(source); what = moving; c = target; from = source
}

/* Of the own cells the first one is filled first. */
inline choose_operation()
{
    if
#ifdef ATTACH
    :: is_ready && refers(own(0)) && !refers(own(1)) -> attach(own(0), own(1))
#endif
#ifdef DETACH
    :: is_ready && refers(own(0)) -> detach(own(0), is_dying)
    :: is_ready && refers(own(1)) -> detach(own(1), is_dying)
#endif
#ifdef MOVE
    :: is_ready && refers(own(0)) && !refers(own(1)) -> move(own(0), own(1))
#endif
#ifdef ALLOCATE
    :: is_ready && has_room && word[0].state == is_free -> what = allocating; c = free_cell; o = 0
    :: is_ready && has_room && word[1].state == is_free -> what = allocating; c = free_cell; o = 1
#endif
#ifdef WEAK
    :: is_ready && has_room -> what = attaching; weak = true; c = free_cell; o = 0
    :: is_ready && has_room -> what = attaching; weak = true; c = free_cell; o = 1
#endif
#ifdef NESTED
    /* In a destructor that is under way, objects are not destroyed but put off; others may find them first. */
    :: is_ready && refers(own(0)) -> detach(own(0), is_pending)
    :: is_ready && refers(own(1)) -> detach(own(1), is_pending)
    :: is_ready && word[0].state == is_pending -> what = claiming; o = 0
    :: is_ready && word[1].state == is_pending -> what = claiming; o = 1
#endif
#ifdef SHARED
    :: may_lock && refers(SHARED_CELL) && has_room        -> guard = me; attach(SHARED_CELL, own(0)); c = free_cell
    :: may_lock && refers(SHARED_CELL)                    -> guard = me; detach(SHARED_CELL, is_dying)
    :: may_lock && !refers(SHARED_CELL) && refers(own(0)) -> guard = me; attach(own(0), SHARED_CELL)
    :: may_lock && !refers(SHARED_CELL) && refers(own(0)) -> guard = me; move(own(0), SHARED_CELL)
#endif
    fi
}

/* Everybody is idle, and nobody waits to be recovered. */
inline check()
{
    d_step {
        assert(guard == NONE && recovering == NONE);
        for (i : 0 .. OBJECTS - 1) {
            r = 0;
            for (k : 0 .. CELLS - 1) {
                if :: cell[k] == i + 1 -> r++ :: else fi
            };
            assert(word[i].count == r);
            assert(word[i].state == (r == 0 -> is_free : is_live));
            assert(!destroyed[i])
        };
        i = 0; k = 0; r = 0
    }
}

inline forget_operation()
{
    d_step {
        what = 0; o = 0; c = 0; from = 0; last = 0; was_last = false; weak = false; swung = false
    }
}

/* What a process goes on with after a change. */
inline end_change()
{
    forget_operation();
    if
    :: recovering == me -> k++; goto releasing
    :: recovering != me && claims -> k++; goto claiming_pending
    :: recovering != me && !claims && guard == me -> goto unlocking
    :: else -> rest(); goto end_idle
    fi
}

inline rest()
{
    d_step {
        /* The own cells are alike, and no record names them. */
        if
        :: is_worker && !refers(own(0)) -> cell[own(0)] = cell[own(1)]; cell[own(1)] = NONE
        :: else
        fi;
        at_work = false; busy--
    };
    if :: all_is_quiet -> check() :: else fi
}

inline die()
{
    d_step {
        deaths--;
        dead[me - 1] = true; taken_over[me - 1] = false;
        if :: at_work -> busy-- :: else fi;
        if :: recovering == me -> recovering = NONE; lost = 0 :: else fi;   /* the kernel's doing */
#ifdef GUARD_BEFORE_CLOSING
        if :: guard == me -> guard = NONE :: else fi;
#endif
        forget_seen();
        what = 0; o = 0; c = 0; from = 0; last = 0; was_last = false; weak = false; swung = false;
        claims = false; at_work = false; k = 0; r = 0; i = 0
    }
}

/* A process with one lane, and after its death the next one that gets the lane. The recovering ones are alike, so the
 * second one comes only when the first one is dead. */
proctype process(byte me)
{
    mtype:kind  what;
    mtype:state last;
    byte o, c, from;
    bool was_last, weak, swung, claims, at_work;
    byte k, r, i;

end_idle:
    if
    :: atomic {
           choose_operation();
           at_work = true; busy++;
           if
           :: what == moving -> goto moving_on
           :: else -> goto looking
           fi
       }
    :: atomic {
           recovering == NONE && (is_worker -> taken_over[me - 1] : somebody_is_dead && (me == 3 || dead[2])) ->
               at_work = true; busy++;
               recovering = me;
               lost = (dead[0] << 1) | (dead[1] << 2) | (dead[2] << 3) | (dead[3] << 4);
#ifdef GONE_WHEN_TAKEN
               lost = lost | (taken_over[0] << 1) | (taken_over[1] << 2);
#endif
               if :: taken_over[me - 1] -> lost = lost | (1 << me) :: else fi;
               goto FIRST_PHASE
       }
    :: atomic { is_worker && may_die -> die(); goto died }
    fi;

looking:
    change();
unlocking:
    step(guard = NONE; rest(); goto end_idle);
closing:
    recover();

died:
    if
    :: !dead[me - 1] -> goto end_idle
#ifdef TAKE_OVER
    :: atomic {
           is_worker && dead[me - 1] && !is_lost(me) ->
               dead[me - 1] = false; taken_over[me - 1] = true; goto end_idle
       }
#endif
    fi
}

init {
    d_step {
        word[0].state = is_free; word[1].state = is_free;
#ifdef HELD
        word[0].state = is_live; word[0].count = 2; cell[0] = 1; cell[2] = 1;
#endif
#ifdef SHARED_HELD
        word[0].state = is_live; word[0].count++; cell[SHARED_CELL] = 1;
#endif
    };
    atomic { run process(1); run process(2); run process(3); run process(4) }
}
