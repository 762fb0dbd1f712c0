/* Counted references: counts that change while the processes that change them are killed, and their recovery.
 *
 * What it is about. An object has a control word with a count; each reference to it is a cell that names it. Word and
 * cell lie apart, so a killed process may have changed one and not the other. How a lane changes both so that a
 * survivor can tell what had happened is said in lib/memory/DESIGN.md, with the words used here: control word (its
 * halves are the value: state, count, generation; and the mark: lane, era), cell, record, table of eras, lane,
 * recovery. This model is that protocol. Spin (spinroot.com) goes through every order in which its steps can happen,
 * with deaths wherever they may be, and looks for a state in which an assertion fails or nobody can go on.
 *
 *   references.pml  the shared memory, and what a step is
 *   lane.pml        what a lane does to one object
 *   recovery.pml    what a survivor does for the dead
 *   processes.pml   two workers and two that recover; what must be true whenever all is quiet
 *
 * A step. On a processor with total store order a killed process leaves a prefix of its stores behind, in the order of
 * the program. So each store is a step of its own, and so is each load of what others may change meanwhile; a process
 * may die before every step. What nobody else can look at goes along with the step before it: locals, words of a lane
 * that is known to be dead, the fields of a record until it is open.
 *
 * An era is a number that grows without end, so that no two swings ever have one mark. All that is asked of it is
 *   - by who closes a record: is this the dead lane's present era? So it is a bool wherever an era is written: true
 *     until that era ends (end_era);
 *   - by the compare-and-swap: is this the mark that was seen? Since no mark comes again, which is asserted, that asks
 *     whether somebody has swung the word since (seen_word.old).
 * Likewise a generation is the one that weak references are to, or a later one; and the two cells of a worker are
 * alike. So there are finitely many states however long the workers go on, and all are visited: nothing but the number
 * of deaths, of objects and of lanes is limited.
 *
 * A run by hand, in an empty folder; `errors: 0` and no word of a search that was cut short is what one wants:
 *
 *   spin -a -DDEATHS=2 -DATTACH -DDETACH -DMOVE -DALLOCATE -DHELD .../lib/memory/model/references.pml
 *   cc -O1 -w -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000
 *
 * After an error, `spin -k references.pml.trail -p -g` with the same options and file prints what led to it.
 * test/model/run does this for all configurations, and for all mistakes.
 *
 * Options, each given with -D:
 *   DEATHS=n      how many; 1 unless said. A recoverer that dies counts too, and is followed by another
 *   ATTACH        a lane makes another reference of one that it has
 *   DETACH        drops one; with the last one it destroys the object
 *   MOVE          moves one to another cell
 *   ALLOCATE      makes an object, or its constructor throws
 *   WEAK          makes a reference to an object that nothing keeps
 *   NESTED        drops one in a destructor: the object becomes pending, and is anybody's to destroy
 *   SHARED        does all this with a cell in the segment, under a mutex
 *   TAKE_OVER     a dead process's row may be had by a new one, which recovers for it first
 *   TORN          the halves of a control word are loaded one by one; else at once
 *   HELD          in the beginning both workers hold object 0; else nothing is there
 *   SHARED_HELD   so does the shared cell
 * Or a mistake, each of which must be found: the names that are asked for with #if and are not in this list.
 */
#ifndef DEATHS
#define DEATHS 1
#endif

#define OBJECTS 2
#define WORKERS 2
#define LANES   4   /* numbered from 1: the workers', then those of two processes that recover */
#define CELLS   5   /* two of each worker, and one in the segment */
#define SHARED_CELL 4
#define NONE    0   /* no lane; in a cell: no object, else object + 1 */

mtype:state = { is_free, is_constructing, is_live, is_dying, is_pending };
mtype:kind  = { attaching, detaching, moving, allocating, claiming };

typedef control_word {
    mtype:state state; byte count; bool later;      /* the value; later: no more of the first generation */
    byte lane; bool present                         /* the mark: who swung it last, and whether in its present era */
};
typedef operation_record {                          /* open while its kind is not 0 */
    mtype:kind kind; byte object, cell, source
};
typedef seen_word {                                 /* what a lane has seen of a word and is about to swing */
    byte object;                                    /* + 1 */
    mtype:state state; byte count; bool later;
    byte lane; bool present;                        /* still to be noted */
    bool old                                        /* somebody has swung it since */
};

control_word     word[OBJECTS];
byte             cell[CELLS];
operation_record record[LANES];         /* all of these: index lane - 1 */
seen_word        seen[LANES];
bool             noted[LANES * LANES];
bool             dead[LANES];           /* killed and not recovered yet */
bool             taken_over[LANES];     /* the row has a new process, which is to recover for the former one */
byte             guard;                 /* the lane that holds the mutex over the shared cell */
byte             recovering;            /* the lane whose process holds the recovery lock */
byte             lost;                  /* bits: the lanes it recovers for, dead when it began */

/* What the properties need, and no process looks at. */
byte deaths = DEATHS;                   /* that may still happen */
byte busy;                              /* processes in the middle of something */
bool destroyed[OBJECTS];                /* destructor begun, in this life */

#define RECORD         record[me - 1]
#define SEEN           seen[me - 1]
#define NOTED(by, of)  noted[((by) - 1) * LANES + (of) - 1]
#define is_lost(lane)  ((lost >> (lane)) & 1)
#define is_worker      (me <= WORKERS)
#define somebody_is_dead (dead[0] || dead[1] || dead[2] || dead[3])
#define all_is_quiet   (busy == 0 && !somebody_is_dead && !taken_over[0] && !taken_over[1])

/* Only who leaves somebody to recover for it dies: there is no end to recoverers, the model has two. And as the workers
 * are alike, the first death is of worker 1. */
#define may_die  (deaths > 0 && (is_worker || !dead[(me == 3 -> 3 : 2)]) && (deaths < DEATHS || me == 1))
#define step(...) if :: atomic { __VA_ARGS__ } :: atomic { may_die -> die(); goto died } fi

#include "lane.pml"
#include "recovery.pml"
#include "processes.pml"
