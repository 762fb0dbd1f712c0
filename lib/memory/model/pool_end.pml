/* The end of a pool: it goes when nobody has it open and its last element is free, by a protocol, not by a count.
 *
 * The words are those of DESIGN.md. The entry's state and its holders (one bit for each process that has the pool open)
 * change together, under the heap mutex: that is one step, since what a killed process has half done is rolled back. An
 * element is freed without the mutex, also by a process that has not got the pool open: a visitor. Two may then be the
 * one after which the pool must go, who drops the last holder and who frees the last element:
 *
 *   the holder: entry := orphaned    the visitor: flag := set
 *               full barrier                      element := free, and its hint is written
 *               looks at elements                 flag := unset
 *               looks at flags                    full barrier
 *               none: frees the pool              looks at the entry; orphaned: all of it once more, under the mutex
 *
 * The barriers are what makes every step below visible in its turn; without one, the look would come before the store,
 * and that is what two of the mistakes do. How counts change is the matter of references.pml, as is what a step is and
 * how one run is made by hand (no options but these are needed here).
 *
 * What must be true: the pool is freed once, while no element is outstanding and nobody holds it; nothing is written to
 * it afterwards; and whenever all is quiet there is no pool without holders and elements.
 *
 *   DEATHS=n      how many; 1 unless said. A recoverer that dies counts too, and is followed by another
 *   ELEMENTS=n    of the pool, 1 or 2; 1 unless said
 * Or a mistake, each of which must be found: the names that are asked for with #if and are not in this list.
 */
#ifndef DEATHS
#define DEATHS 1
#endif

#define PROCESSES 3     /* numbered from 1; each has one lane */
#ifndef ELEMENTS
#define ELEMENTS  1
#endif
#define NONE      0

mtype:entry = { no_pool, is_live, is_orphaned, is_dying };

#define FREE          0         /* an element: what else it is */
#define IN_SEGMENT    1         /* a pointer in the segment refers to it, or it is pending: it is anybody's to drop */
#define OWNED(by)     (1 + (by))
#define DROPPED(by)   (1 + PROCESSES + (by))

mtype:entry entry = no_pool;
byte dying_by;
bool holds[PROCESSES];          /* these: index process - 1 */
byte element[ELEMENTS];
bool flag[PROCESSES];
bool dead[PROCESSES];
byte mutex, recovering, lost;

/* What the properties need, and no process looks at. */
byte deaths = DEATHS;
byte busy;
bool memory;                    /* there is a pool */
bool life;                      /* which one: the next one in the same place is another */

#define is_lost(process) ((lost >> (process)) & 1)
#define nobody_holds     (!holds[0] && !holds[1] && !holds[2])
#define nothing_is_out   (element[0] == FREE && element[ELEMENTS - 1] == FREE)
#define nobody_is_flagged (!flag[0] && !flag[1] && !flag[2])
#define others_live      ((me != 1 && !dead[0]) || (me != 2 && !dead[1]) || (me != 3 && !dead[2]))
#define somebody_is_dead (dead[0] || dead[1] || dead[2])
#define all_is_quiet     (busy == 0 && !somebody_is_dead)

/* All are alike: the first death is of process 1. */
#define may_die   (deaths > 0 && others_live && (deaths < DEATHS || me == 1))
#define step(...) if :: atomic { __VA_ARGS__ } :: atomic { may_die -> die(); goto died } fi

/* The pool's memory is written, which is to be that of the pool with the element. */
#define touch() assert(memory && life == visited)

/* At home; what must be true when all are. */
inline rest()
{
    d_step {
        at_work = false; busy--;
        e = 0; n = 0; is_empty = false; visited = false; seen = no_pool; leaving = false;
        if
        :: all_is_quiet ->
               assert(mutex == NONE && recovering == NONE && nobody_is_flagged);
               assert(entry == no_pool || (entry == is_live && !nobody_holds) ||
                      (entry == is_orphaned && nobody_holds && !nothing_is_out));
               assert(memory == (entry != no_pool))
        :: else
        fi
    }
}

inline die()
{
    d_step {
        deaths--;
        dead[me - 1] = true;
        if :: at_work -> busy-- :: else fi;
        if :: mutex == me -> mutex = NONE :: else fi;       /* the next to lock it finds its owner dead */
        if :: recovering == me -> recovering = NONE; lost = 0 :: else fi;       /* the kernel's doing */
        at_work = false; e = 0; n = 0; is_empty = false; visited = false; seen = no_pool; leaving = false
    }
}

inline begin()
{
    d_step { at_work = true; busy++ }
}

inline visit(which)
{
    d_step { at_work = true; busy++; e = which; visited = life; element[e] = DROPPED(me) }
}

/* What who holds the pool does to elements, whose flag is not the one for visits; and anybody. */
inline change_element(which)
{
    if
    :: atomic { holds[me - 1] && element[which] == FREE -> element[which] = OWNED(me) }
    :: atomic { element[which] == OWNED(me) -> element[which] = FREE }
    :: atomic { element[which] == OWNED(me) -> element[which] = IN_SEGMENT }
    :: atomic { element[which] == IN_SEGMENT -> visit(which); goto visiting }
    fi
}

/* Holders and state change in one transaction. */
inline drop_holders(which)
{
    d_step {
        for (n : 1 .. PROCESSES) {
            if :: (which >> n) & 1 -> holds[n - 1] = false :: else fi
        };
        n = 0;
        if :: nobody_holds -> entry = is_orphaned :: else fi
    }
}

inline free_pool()
{
    assert(memory && nobody_holds && nothing_is_out && nobody_is_flagged);
    memory = false
}

/* Holds the pool, if it likes, and has elements then; or drops elements that it finds in the segment. */
proctype process(byte me)
{
    byte e, n;
    bool at_work, is_empty, visited, leaving;
    mtype:entry seen;

end_idle:
    if
    :: change_element(0)
#if ELEMENTS > 1
    :: change_element(1)
#endif
    :: atomic { !holds[me - 1] && mutex == NONE && entry != is_dying -> begin(); mutex = me; goto opening }
    :: atomic {
           holds[me - 1] && mutex == NONE && element[0] != OWNED(me) && element[ELEMENTS - 1] != OWNED(me) ->
               begin(); mutex = me; leaving = true; goto letting_go
       }
    :: atomic {
           recovering == NONE && somebody_is_dead ->
               begin(); recovering = me; lost = (dead[0] << 1) | (dead[1] << 2) | (dead[2] << 3);
               goto recovering_elements
       }
    :: atomic { may_die -> die(); goto died }
    fi;
    goto end_idle;

/* By name: a new pool, or the one that is there, whoever keeps it. */
opening:
    step(
        if
        :: entry == no_pool -> memory = true; life = !life; assert(nobody_is_flagged && nothing_is_out)
        :: else
        fi;
        entry = is_live; holds[me - 1] = true
    );
    step(mutex = NONE; rest(); goto end_idle);

/* Drops an element of a pool that it need not have open. */
visiting:
    step(
        touch();
#ifndef NO_FLAG
        flag[me - 1] = true
#endif
    );
#ifdef LOOK_BEFORE_FREE
    step(seen = entry);
#endif
    step(touch(); element[e] = FREE);
    step(touch());                                          /* the hint */
#ifdef LOOK_BEFORE_UNFLAG
    step(seen = entry);
#endif
    step(flag[me - 1] = false);
#if !defined LOOK_BEFORE_FREE && !defined LOOK_BEFORE_UNFLAG && !defined NO_RECHECK
    step(seen = entry);
#endif
looking:
    step(
        if
        :: seen == is_orphaned
        :: else -> rest(); goto end_idle
        fi
    );
    step(mutex == NONE -> mutex = me; goto checking);

letting_go:
#ifndef COUNT_BEFORE_ORPHANED
    step(drop_holders(1 << me); leaving = false);
#endif

/* Under the mutex, whoever thinks that the pool may have to go. */
checking:
    step(
        if
#ifndef NO_STATE_CHECK
        :: entry != is_orphaned && !leaving -> goto unlocking
#endif
        :: else -> is_empty = true
        fi
    );
#ifdef FLAGS_BEFORE_ELEMENTS
    n = 1;
    do
    :: step(assert(memory); is_empty = is_empty && !flag[n - 1]; n++; if :: n > PROCESSES -> n = 0; break :: else fi)
    od;
#endif
counting:
    step(
        assert(memory);
        is_empty = is_empty && element[n] == FREE;
        n++;
        if
        :: n < ELEMENTS -> goto counting
        :: else -> n = 0
        fi
    );
#if !defined FLAGS_UNSEEN && !defined FLAGS_BEFORE_ELEMENTS
counting_flags:
    step(
        assert(memory);
        is_empty = is_empty && !flag[n];
        n++;
        if
        :: n < PROCESSES -> goto counting_flags
        :: else -> n = 0
        fi
    );
#endif
#ifdef COUNT_BEFORE_ORPHANED
    step(if :: leaving -> drop_holders(1 << me); is_empty = is_empty && entry == is_orphaned :: else fi);
#endif
    step(
        if
        :: is_empty -> entry = is_dying; dying_by = me
        :: else -> goto unlocking
        fi
    );
    step(mutex = NONE);
    step(mutex == NONE -> mutex = me);                      /* to give back its memory */
    step(assert(entry == is_dying && dying_by == me); free_pool());
    step(entry = no_pool; dying_by = NONE);
unlocking:
    step(mutex = NONE; rest(); goto end_idle);

/* Elements of the dead are anybody's to drop; those that they were dropping are freed. */
recovering_elements:
    step(
        if
        :: n == ELEMENTS -> n = 0; goto recovering_under_mutex
        :: n < ELEMENTS && element[n] > IN_SEGMENT && element[n] <= OWNED(PROCESSES) && is_lost(element[n] - 1) ->
               assert(memory);
               element[n] = IN_SEGMENT
        :: else
        fi;
        n++; goto recovering_elements
    );
recovering_under_mutex:
    step(mutex == NONE -> mutex = me);
recovering_dropped:
    step(
        if
        :: n == ELEMENTS -> n = 0; goto recovering_flags
        :: n < ELEMENTS && element[n] > OWNED(PROCESSES) && is_lost(element[n] - 1 - PROCESSES) ->
               assert(memory);
               element[n] = FREE
        :: else
        fi;
        n++; goto recovering_dropped
    );
recovering_flags:
    step(
        if
        :: n == PROCESSES -> n = 0; goto recovering_entry
        :: n < PROCESSES && is_lost(n + 1) && flag[n] -> assert(memory); flag[n] = false
        :: else
        fi;
        n++; goto recovering_flags
    );
recovering_entry:
    step(
        if
        :: entry == is_dying && is_lost(dying_by) ->
               if :: memory -> free_pool() :: else fi
        :: else -> goto recovering_holders
        fi
    );
    step(entry = no_pool; dying_by = NONE);
recovering_holders:
    step(if :: entry == is_live -> drop_holders(lost) :: else fi);
    step(mutex = NONE);
recovering_rows:
    step(
        if
        :: n == PROCESSES -> n = 0; recovering = NONE; lost = 0; goto recovering_orphan
        :: n < PROCESSES && is_lost(n + 1) -> dead[n] = false
        :: else
        fi;
        n++; goto recovering_rows
    );
recovering_orphan:
#ifdef RECOVERY_FORGETS
    step(rest(); goto end_idle);
#else
    step(seen = entry; goto looking);
#endif

died:
    !dead[me - 1] -> goto end_idle
}

init {
    atomic { run process(1); run process(2); run process(3) }
}
