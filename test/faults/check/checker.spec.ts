import { describe, expect, it } from '@jest/globals';
import type { FaultKind } from '../plan/fault.ts';
import { check } from './checker.ts';
import type { Evidence, Trace } from './evidence.ts';
import { arrivalOf, eventOf, faultOf, publishingOf, sampleEvidence } from './sample-evidence.ts';

const sample = sampleEvidence();

function kindsOf(changed: Partial<Evidence>): string[] {
  return check({ ...sample, ...changed }).violations.map(({ kind }) => kind);
}

describe('check', () => {
  it('finds nothing wrong with a run without faults', () => {
    expect(check(sample)).toMatchObject({ committed: 3, arrived: 3, violations: [], duplicates: new Map() });
  });

  describe('arrivals', () => {
    it('finds a lost event', () => {
      expect(kindsOf({ arrivals: sample.arrivals.slice(0, 2) })).toEqual(['lost']);
    });

    it('finds an event of a transaction that was rolled back', () => {
      const { committed, acknowledged } = sampleEvidence(2);
      expect(kindsOf({ committed, acknowledged })).toEqual(['invented']);
    });

    it('finds an event that arrives with another number than was committed', () => {
      const [first, ...others] = sample.arrivals;
      expect(kindsOf({ arrivals: [{ ...first!, key: 'b' }, ...others] })).toEqual(['invented']);
    });

    it('finds an event with two message ids', () => {
      const copy = { ...arrivalOf(2, 9), messageId: 'message-1' };
      expect(kindsOf({ arrivals: [...sample.arrivals, copy] })).toContain('invented');
    });

    it('finds an acknowledged commit that the database does not have', () => {
      expect(kindsOf({ acknowledged: [...sample.acknowledged, 'token-9'] })).toEqual(['database lost']);
    });

    it('takes a commit of unknown outcome for what the database says', () => {
      expect(kindsOf({ acknowledged: [] })).toEqual([]);
    });
  });

  describe('dead letters', () => {
    const committed = [eventOf(1), eventOf(2, 'doomed'), eventOf(3)];
    const arrivals = [arrivalOf(1, 1), arrivalOf(3, 2)];

    it('expects the doomed ones there', () => {
      expect(kindsOf({ committed, arrivals, deadLetters: ['token-2'] })).toEqual([]);
      expect(kindsOf({ committed, arrivals })).toEqual(['lost']);
    });

    it('finds one that could have arrived', () => {
      expect(kindsOf({ arrivals, deadLetters: ['token-2'] })).toEqual(['lost', 'wrong dead letter']);
      expect(kindsOf({ deadLetters: ['token-2'] })).toEqual(['wrong dead letter']);
    });

    it('finds a doomed one that has arrived', () => {
      expect(kindsOf({ committed, deadLetters: ['token-2'] })).toEqual(['invented']);
    });
  });

  describe('order', () => {
    it('finds a first arrival before that of an earlier event', () => {
      expect(kindsOf({ arrivals: [arrivalOf(1, 1), arrivalOf(3, 2), arrivalOf(2, 3)] })).toEqual([
        'out of order',
      ]);
    });

    it('does not mind a late copy of an earlier event', () => {
      const arrivals = [...sample.arrivals, arrivalOf(1, 4)];
      const traces = [...sample.traces, publishingOf(9_000, 'relay-1', 1)];
      const faults = [faultOf('kill-relay', 1_000, 1_100, 'relay-1')];
      expect(kindsOf({ arrivals, traces, faults })).toEqual([]);
    });

    it('does not mind the order of other keys', () => {
      const other = { ...arrivalOf(4, 0), key: 'b' };
      const committed = [...sample.committed, { ...eventOf(4), key: 'b' }];
      const traces = [...sample.traces, publishingOf(9_000, 'relay-1', 4)];
      expect(kindsOf({ arrivals: [other, ...sample.arrivals], committed, traces })).toEqual([]);
    });

    it('compares two lanes by the broker’s clock, where equal times say nothing', () => {
      const at = (time: number) => [
        arrivalOf(1, 1, 'x', 10),
        arrivalOf(2, 1, 'y', time),
        arrivalOf(3, 2, 'x', 30),
      ];
      expect(kindsOf({ arrivals: at(20) })).toEqual([]);
      expect(kindsOf({ arrivals: at(10) })).toEqual([]);
      expect(kindsOf({ arrivals: at(9) })).toEqual(['out of order']);
      expect(kindsOf({ arrivals: at(31) })).toEqual(['out of order']);
    });
  });

  describe('duplicates', () => {
    const arrivals = [...sample.arrivals, arrivalOf(3, 4)];
    const twice = [...sample.traces, publishingOf(9_000, 'relay-2', 3)];

    it('finds one without a fault', () => {
      expect(kindsOf({ arrivals, traces: twice })).toEqual(['unexplained duplicate']);
    });

    it('finds one that no relay has written down', () => {
      expect(kindsOf({ arrivals })).toEqual(['unexplained duplicate']);
    });

    it('finds a message that arrives without any sending', () => {
      expect(kindsOf({ traces: sample.traces.slice(0, -1) })).toEqual(['unexplained duplicate']);
    });

    it.each<[FaultKind, string]>([
      ['kill-relay', 'relay-1'],
      ['freeze-relay', 'relay-2'],
      ['restart-database', 'database'],
      ['broker-outage', 'broker'],
      ['restart-broker', 'broker'],
      ['cut', 'relay-1'],
      ['stall', 'database'],
    ])('explains one by %s of %s between the two sendings', (kind, touched) => {
      const verdict = check({
        ...sample,
        arrivals,
        traces: twice,
        faults: [faultOf(kind, 4_000, 5_000, touched)],
      });
      expect(verdict.violations).toEqual([]);
      expect(verdict.duplicates).toEqual(new Map([[kind, 1]]));
    });

    it('takes no fault of another process for a reason', () => {
      const faults = [faultOf('kill-relay', 4_000, 5_000, 'relay-3')];
      expect(kindsOf({ arrivals, traces: twice, faults })).toEqual(['unexplained duplicate']);
    });

    it('takes no fault before the first sending, or after the second, for a reason', () => {
      const early = [faultOf('kill-relay', 100, 200, 'relay-1')];
      const late = [faultOf('kill-relay', 9_100, 9_200, 'relay-1')];
      expect(kindsOf({ arrivals, traces: twice, faults: early })).toEqual(['unexplained duplicate']);
      expect(kindsOf({ arrivals, traces: twice, faults: late })).toEqual(['unexplained duplicate']);
    });

    it.each<FaultKind>(['leave-relay', 'join-relay', 'shift-clock', 'slow', 'lock-conflict', 'kill-writer'])(
      'takes %s for no reason',
      (kind) => {
        const faults = [faultOf(kind, 4_000, 5_000, 'relay-1')];
        expect(kindsOf({ arrivals, traces: twice, faults })).toEqual(['unexplained duplicate']);
      },
    );

    it('explains one by a client library that sends again, when the broker was away', () => {
      const faults = [faultOf('restart-broker', 3_100, 3_200, 'broker')];
      expect(check({ ...sample, arrivals, faults }).duplicates).toEqual(new Map([['restart-broker', 1]]));
    });

    it('explains one by the refusal of another message of its batch', () => {
      const refusal: Trace = {
        process: 'relay-1',
        t: 3_500,
        type: 'parked',
        id: 'message-2',
        error: 'too large',
      };
      const batch = [publishingOf(1_000, 'relay-1', 1), publishingOf(3_000, 'relay-1', 2, 3)];
      const verdict = check({ ...sample, arrivals, traces: [...batch, refusal] });
      expect(verdict.violations).toEqual([]);
      expect(verdict.duplicates).toEqual(new Map([['refusal in the batch', 1]]));
      expect(kindsOf({ arrivals, traces: [...sample.traces, refusal] })).toEqual(['unexplained duplicate']);
    });
  });

  describe('leases', () => {
    const gained = (process: string, t: number): Trace => ({ process, t, type: 'gained', slots: [2, 3] });
    const lost = (process: string, t: number): Trace => ({ process, t, type: 'lost', slots: [2] });

    it('finds two owners of a slot', () => {
      const traces = [...sample.traces, gained('relay-2', 4_000), lost('relay-1', 5_000)];
      expect(kindsOf({ traces })).toEqual(['two owners']);
    });

    it('finds an owner that never gives up', () => {
      expect(kindsOf({ traces: [...sample.traces, gained('relay-2', 4_000)] })).toEqual(['two owners']);
    });

    it('does not mind one after the other', () => {
      expect(
        kindsOf({ traces: [...sample.traces, lost('relay-1', 4_000), gained('relay-2', 4_001)] }),
      ).toEqual([]);
    });

    it('takes the end of a process for the end of its leases', () => {
      const ends = new Map([['relay-1', 4_000]]);
      const verdict = check({ ...sample, ends, traces: [...sample.traces, gained('relay-2', 7_000)] });
      expect(verdict.violations).toEqual([]);
      expect(verdict.longestTakeoverMs).toBe(3_000);
    });

    it('excuses one that was frozen, for as long as that lasted', () => {
      const faults = [faultOf('freeze-relay', 3_500, 8_000, 'relay-1')];
      const traces = [...sample.traces, gained('relay-2', 7_000)];
      expect(kindsOf({ faults, traces: [...traces, lost('relay-1', 8_050)] })).toEqual([]);
      expect(kindsOf({ faults, traces: [...traces, lost('relay-1', 18_000)] })).toEqual(['two owners']);
      expect(kindsOf({ faults, traces })).toEqual(['two owners']);
    });

    it('measures the takeover from one that was replaced before it was killed', () => {
      const faults = [faultOf('freeze-relay', 1_500, 5_000, 'relay-1')];
      const traces = [...sample.traces, gained('relay-2', 4_000)];
      const verdict = check({ ...sample, faults, traces, ends: new Map([['relay-1', 5_000]]) });
      expect(verdict).toMatchObject({ violations: [], longestTakeoverMs: 0 });
    });

    it('measures a hand-over', () => {
      const traces: Trace[] = [
        ...sample.traces,
        { process: 'relay-1', t: 4_000, type: 'stopping' },
        lost('relay-1', 4_100),
        gained('relay-2', 4_300),
      ];
      expect(check({ ...sample, traces }).longestHandoverMs).toBe(200);
    });
  });
});
