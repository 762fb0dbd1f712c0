/* What a survivor does for the dead. It may die as well; whoever follows starts over, for that one too. */

#ifdef RELEASE_BEFORE_CLOSING
#define FIRST_PHASE     releasing
#define AFTER_RELEASING closing
#define AFTER_CLOSING   scanning
#define AFTER_SCANNING  giving_back
#elif defined SCAN_BEFORE_CELLS
#define FIRST_PHASE     closing
#define AFTER_CLOSING   scanning
#define AFTER_SCANNING  releasing
#define AFTER_RELEASING giving_back
#else
#define FIRST_PHASE     closing
#define AFTER_CLOSING   releasing
#define AFTER_RELEASING scanning
#define AFTER_SCANNING  giving_back
#endif

#define DEAD_RECORD record[k - 1]

/* The next dead lane, from k on. */
inline next_lost()
{
    d_step {
        if :: k == 0 -> k = 1 :: else fi;
        do
        :: k <= LANES && !is_lost(k) -> k++
        :: else -> break
        od
    }
}

#define holder_is_lost (is_lost(k / 2 + 1) && !(taken_over[k / 2] && k / 2 + 1 != me))

/* The next cell that a dead process fills, from k on. */
inline next_cell()
{
    d_step {
        do
        :: k < WORKERS * 2 && (!holder_is_lost || cell[k] == NONE) -> k++
        :: else -> break
        od
    }
}

/* One row of the table of eras; those of the dead do not change, nor does the own one. */
inline read_row()
{
    d_step {
        do
        :: r <= LANES && (dead[r - 1] || r == me) -> swung = swung || NOTED(r, k); r++
        :: else -> break
        od;
        if
        :: r <= LANES -> swung = swung || NOTED(r, k); r++
        :: else
        fi;
        do
        :: r <= LANES && (dead[r - 1] || r == me) -> swung = swung || NOTED(r, k); r++
        :: else -> break
        od
    }
}

inline recover()
{
/* Phase 1: whether the operation of dead lane k's open record happened, and if so, the rest of it. */
    step(
        next_lost();
        if
        :: k > LANES -> k = 0; goto AFTER_CLOSING
        :: k <= LANES && DEAD_RECORD.kind == 0 ->
#ifndef CLOSED_KEEP_ERA
               /* Its last swing may have had no record, and is to be the last one of its era even so. */
               end_era(k);
#endif
               k++; goto closing
        :: k <= LANES && DEAD_RECORD.kind == moving -> goto closing_move
        :: k <= LANES && DEAD_RECORD.kind != 0 && DEAD_RECORD.kind != moving ->
               o = DEAD_RECORD.object; r = 1;
#ifndef TABLE_BEFORE_WORD
               /* The word first: who overwrites the mark after this has noted it before this. */
               swung = (word[o].lane == k && word[o].present)
#endif
        fi
    );
reading:
    step(
        read_row();
        if
        :: r <= LANES && !swung -> goto reading
        :: else -> r = 0
        fi
    );
#ifdef TABLE_BEFORE_WORD
    step(swung = swung || (word[o].lane == k && word[o].present));
#endif
    step(
        o = 0;
        if
        :: swung  -> cell[DEAD_RECORD.cell] = (DEAD_RECORD.kind == attaching -> DEAD_RECORD.object + 1 : NONE)
        :: !swung -> end_era(k); k++; goto closing
        fi;
        swung = false
    );
    step(end_era(k); k++; goto closing);
closing_move:
    step(cell[DEAD_RECORD.cell] = DEAD_RECORD.object + 1);
    step(cell[DEAD_RECORD.source] = NONE);
    step(end_era(k); k++; goto closing);

/* Phase 2: the references that the dead held. */
releasing:
    step(
        next_cell();
        if
        :: k == WORKERS * 2 -> k = 0; goto AFTER_RELEASING
        :: else
        fi;
        c = k; o = cell[k] - 1;
        if
        :: word[o].state == is_live -> what = detaching; last = is_pending; goto looking
        :: else                                             /* not counted yet */
        fi;
#if !defined SCAN_BEFORE_CELLS && !defined GONE_WHEN_TAKEN
        assert(word[o].state == is_constructing && is_lost(word[o].lane))
#endif
    );
    step(cell[c] = NONE; c = 0; o = 0; k++; goto releasing);

/* Phase 3: what the dead were constructing or destroying is cut off; destructors do not run for it, or not again. */
scanning:
    step(
        if :: k == OBJECTS -> k = 0; goto AFTER_SCANNING :: else fi;
        o = k;
#ifdef MARK_BEFORE_VALUE
        r = word[o].lane
    );
    step(
#endif
        /* The value first: a dead lane's mark that is still there after it was there with it. */
        if
        :: word[o].state == is_constructing || word[o].state == is_dying
        :: else -> o = 0; r = 0; k++; goto scanning
        fi
    );
    step(
#ifndef MARK_BEFORE_VALUE
        r = word[o].lane;
#endif
        if
        :: r != NONE && is_lost(r)
        :: else -> o = 0; r = 0; k++; goto scanning
        fi
    );
    step(
        assert(is_lost(word[o].lane) && (word[o].state == is_constructing || word[o].state == is_dying));
        set_free(); o = 0; r = 0; k++; goto scanning
    );

/* Phase 4: the mutex and the lanes are for others again. */
giving_back:
    step(if :: guard != NONE && is_lost(guard) -> guard = NONE :: else fi);
giving_lanes:
    step(
        next_lost();
        if
        :: k <= LANES ->
               dead[k - 1] = false;
               if :: k == me -> taken_over[k - 1] = false :: else fi;
               k++; goto giving_lanes
        :: else -> k = 0; recovering = NONE; lost = 0
        fi
    );

/* Phase 5, by whoever likes, and without a lock. */
claiming_pending:
    step(
        if
        :: k == OBJECTS -> k = 0; claims = false; end_change()
        :: else -> claims = true; what = claiming; o = k; goto looking
        fi
    )
}
