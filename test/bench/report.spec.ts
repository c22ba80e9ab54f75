import { describe, expect, it } from '@jest/globals';
import { reportOf } from '../../bench/cli/report.ts';

describe('a line of a report', () => {
  it('has the ratio of each run to the floor of the same run', () => {
    const floor = { what: 'by hand', values: [1, 4, 2] };
    const { lines } = reportOf('drain', 'npm run bench', 3, [
      { work: 'drain', unit: 'msg/s', values: [2, 2, 2], floor },
    ]);
    expect(lines[0]!.ratio).toEqual({ median: 1, min: 0.5, max: 2 });
  });

  it('has none where the clock has shown nothing for a floor: JSON has no form for what that gives', () => {
    const floor = { what: 'by hand', values: [10, 0, 10] };
    const report = reportOf('drain', 'npm run bench', 3, [
      { work: 'CPU of the database', unit: 'µs/msg', values: [10, 0, 20], floor },
    ]);
    expect(report.lines[0]).not.toHaveProperty('ratio');
    expect(JSON.stringify(report)).not.toContain('null');
  });
});
