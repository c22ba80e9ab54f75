import type { ReportLine } from '../cli/report.ts';
import { COLOURS, line, round, svg, text } from './svg.ts';

const [LABELS, BARS, RIGHT, ROW, TOP] = [330, 380, 70, 26, 40];

/** Ours against the floor: a bar for each ratio, with the least and the greatest of the runs. None where there is no ratio. */
export function barChart(name: string, lines: readonly ReportLine[]): [file: string, svg: string][] {
  const bars = lines.filter(({ ratio, point }) => ratio && !point);
  if (bars.length === 0) return [];
  const largest = Math.max(1.1, ...bars.map(({ ratio }) => ratio!.max));
  const x = (value: number): number => LABELS + (value / largest) * BARS;
  const height = TOP + bars.length * ROW + 20;
  const rows = bars.flatMap(({ work, ratio }, index) => {
    const y = TOP + index * ROW;
    const middle = y + ROW / 2 - 2;
    return [
      text(LABELS - 8, middle + 4, work, 'end'),
      `<rect x="${LABELS}" y="${y}" width="${round(x(ratio!.median) - LABELS)}" height="${ROW - 8}" fill="${COLOURS[0]}"/>`,
      line(x(ratio!.min), middle, x(ratio!.max), middle, '#222'),
      text(x(ratio!.max) + 6, middle + 4, ratio!.median.toFixed(2)),
    ];
  });
  const title = text(8, 20, `${name}: ratio to the floor (1 = as the floor; the line spans all runs)`);
  const one = line(x(1), TOP - 8, x(1), height - 12, '#c33');
  return [[`${name}.svg`, svg(LABELS + BARS + RIGHT, height, [title, ...rows, one])]];
}
