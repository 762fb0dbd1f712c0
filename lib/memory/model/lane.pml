/* What a lane does to one object. Locals of the process: what, o (object), c (cell), from (the cell that a move
 * empties), last (what the last reference leaves the object as). */

inline forget_seen()
{
    SEEN.object = 0; SEEN.state = 0; SEEN.count = 0; SEEN.later = false; SEEN.lane = NONE; SEEN.present = false;
    SEEN.old = false
}

inline see_mark()
{
    d_step {
        SEEN.object = o + 1; SEEN.old = false;
        SEEN.lane = word[o].lane; SEEN.present = word[o].present;
        if
#ifdef NO_NOTE
        :: false
#elif defined NOTE_OVERWRITES
        :: SEEN.lane != NONE && SEEN.lane != me
#else
        :: SEEN.present && SEEN.lane != me && !NOTED(me, SEEN.lane)     /* a note is a maximum, so else it is there */
#endif
        :: else -> SEEN.lane = NONE; SEEN.present = false
        fi
    }
}

inline see_value()
{
    d_step { SEEN.state = word[o].state; SEEN.count = word[o].count; SEEN.later = word[o].later }
}

/* Whoever overwrites a mark notes it before: else nobody could tell that the swing had happened. */
inline note()
{
    d_step {
        if
        :: SEEN.lane != NONE -> NOTED(me, SEEN.lane) = SEEN.present
        :: else                                     /* that era has ended meanwhile */
        fi;
        SEEN.lane = NONE; SEEN.present = false
    }
}

inline open_record()
{
    d_step { RECORD.kind = what; RECORD.object = o; RECORD.cell = c; RECORD.source = from }
}

/* The next era begins, which closes the record. Nobody but the lane and its recoverer looks at it. */
inline end_era(whose)
{
    d_step {
        record[whose - 1].kind = 0; record[whose - 1].object = 0; record[whose - 1].cell = 0;
        record[whose - 1].source = 0;
        for (i : 0 .. OBJECTS - 1) {
            if :: word[i].lane == whose -> word[i].present = false :: else fi
        };
        for (i : 1 .. LANES) {
            NOTED(i, whose) = false;
            if
            :: seen[i - 1].lane == whose ->
#ifndef NOTE_OVERWRITES
                   seen[i - 1].lane = NONE;
#endif
                   seen[i - 1].present = false
            :: else
            fi
        };
        i = 0
    }
}

/* Compare-and-swap of both halves. */
inline swing(to, plus)
{
    d_step {
        if
        :: SEEN.old -> swung = false
        :: else ->
               assert(word[o].state == SEEN.state && word[o].count == SEEN.count && word[o].later == SEEN.later);
#ifndef CLOSED_KEEP_ERA
               /* No two swings have one mark. */
               assert(!(word[0].lane == me && word[0].present) && !(word[1].lane == me && word[1].present));
               assert(!NOTED(1, me) && !NOTED(2, me) && !NOTED(3, me) && !NOTED(4, me));
#endif
               for (i : 0 .. LANES - 1) {
                   if
                   :: i != me - 1 && seen[i].object == o + 1 ->     /* what it saw is of no use any more */
                          seen[i].old = true; seen[i].state = 0; seen[i].count = 0; seen[i].later = false
                   :: else
                   fi
               };
               word[o].state = to; word[o].count = word[o].count + plus; word[o].lane = me; word[o].present = true;
               i = 0; swung = true
        fi;
        forget_seen()
    }
}

/* No swing, here and where an object becomes live: nobody else touches the value meanwhile. */
inline set_free()
{
    d_step { word[o].state = is_free; word[o].count = 0; word[o].later = true; destroyed[o] = false }
}

inline set_live()
{
    d_step {
        assert(word[o].state == is_constructing && word[o].lane == me);
        word[o].state = is_live; word[o].count = 1
    }
}

#define changes_count (what == attaching || what == detaching)
#define is_recorded   (RECORD.kind == what && RECORD.object == o && RECORD.cell == c)
#define is_expired    (SEEN.state != is_live || (weak && SEEN.later))

/* What follows from what was seen. */
inline decide()
{
    if
    :: what == attaching && is_expired ->
           assert(weak);
           forget_seen();
           if
           :: RECORD.kind != 0 -> goto void
           :: else -> end_change()
           fi
    :: what == attaching && !is_expired
    :: what == detaching -> assert(SEEN.state == is_live && SEEN.count >= 1)
    :: what == allocating && SEEN.state == is_free
    :: what == claiming && SEEN.state == is_pending
    :: else -> forget_seen(); end_change()
    fi;
    if :: SEEN.old -> SEEN.state = 0; SEEN.count = 0; SEEN.later = false :: else fi;
    if
#ifndef RECORD_AFTER_SWING
    :: changes_count && !is_recorded -> goto opening
#endif
    :: else ->
           if
           :: SEEN.lane != NONE -> goto noting
           :: else -> goto swinging
           fi
    fi
}

/* One change. It begins with a look (a move does not: moving_on); that a detach records before it looks makes no
 * difference to anybody. */
inline change()
{
#ifdef TORN
    step(see_mark());       /* first; both halves may be of different times, then the swing fails */
    step(see_value(); decide());
#else
    step(see_mark(); see_value(); decide());
#endif

opening:
    step(open_record(); if :: SEEN.lane == NONE -> goto swinging :: else fi);

noting:
    step(note());

swinging:
    step(
        if
        :: what == attaching  -> swing(is_live, 1)
        :: what == detaching && SEEN.count == 1 -> swing(last, -1); was_last = swung
        :: what == detaching && SEEN.count != 1 -> swing(is_live, -1)
        :: what == allocating -> swing(is_constructing, 0)
        :: what == claiming   -> swing(is_dying, 0)
        fi;
        if
        :: !swung && changes_count  -> goto looking
        :: !swung && !changes_count -> end_change()         /* somebody was faster */
        :: swung && changes_count
        :: swung && what == allocating -> swung = false; goto constructing
        :: swung && what == claiming   -> swung = false; goto ending_claim
        fi;
        swung = false
    );
#ifdef RECORD_AFTER_SWING
    step(open_record());
#endif
#ifdef ERA_BEFORE_CELL
    step(end_era(me));
    step(cell[c] = (what == attaching -> o + 1 : NONE));
    step(
#else
    step(cell[c] = (what == attaching -> o + 1 : NONE));
    step(
        end_era(me);
#endif
        if
        :: was_last && last == is_dying -> goto destroying
        :: was_last && last == is_pending && recovering != me -> what = claiming; was_last = false; goto looking
        :: else -> end_change()
        fi
    );

/* No record: the word itself says whose the object is. */
constructing:
    step(end_era(me));
    step(if :: goto publishing :: set_free(); end_change() fi);     /* the constructor has thrown */
publishing:
#ifdef LIVE_BEFORE_CELL
    step(set_live());
    step(cell[c] = o + 1; end_change());
#else
    step(cell[c] = o + 1);
    step(set_live(); end_change());
#endif

ending_claim:
    step(end_era(me));
destroying:
    step(
        assert(word[o].state == is_dying && word[o].lane == me && !destroyed[o]);
        destroyed[o] = true                                         /* the destructor begins */
    );
    step(
        assert(word[o].state == is_dying && word[o].lane == me);
        set_free(); end_change()
    );

/* From one cell to another; no count changes. */
moving_on:
#ifdef OPEN_BEFORE_WHOLE
    step(RECORD.kind = what);
#endif
    step(open_record());
    step(cell[c] = o + 1);
    step(cell[from] = NONE);
void:
    step(end_era(me); end_change())
}
