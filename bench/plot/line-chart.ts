import type { ChartPoint } from '../cli/measurement.ts';
import type { ReportLine } from '../cli/report.ts';
import { COLOURS, line, round, short, svg, text } from './svg.ts';

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [780, 320, 70, 190, 40, 50];

type Point = ReportLine & { readonly point: ChartPoint };

/** A chart for each name of a chart: how a cost grows, one line for each series; x is logarithmic. */
export function lineCharts(lines: readonly ReportLine[]): [file: string, svg: string][] {
  const points = lines.filter((candidate): candidate is Point => candidate.point !== undefined);
  const charts = Map.groupBy(points, ({ point }) => point.chart);
  return [...charts].map(([chart, those]) => [`${chart}.svg`, lineChart(chart, those)]);
}

function lineChart(chart: string, points: readonly Point[]): string {
  const [{ unit, point }] = points as [Point];
  const steps = [...new Set(points.map((each) => each.point.x))].sort((a, b) => a - b);
  const top = Math.max(...points.map(({ max }) => max)) * 1.05;
  const [low, high] = [Math.log(Math.max(1, steps[0]!)), Math.log(Math.max(2, steps.at(-1)!))];
  const x = (value: number): number =>
    LEFT + ((Math.log(Math.max(1, value)) - low) / (high - low || 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => top * share);
  const series = [...Map.groupBy(points, (each) => each.point.series)];
  return svg(WIDTH, HEIGHT, [
    text(8, 20, `${chart}: ${unit} (median; bars span all runs)`),
    ...grid.flatMap((value) => [
      line(LEFT, y(value), WIDTH - RIGHT, y(value)),
      text(LEFT - 6, y(value) + 4, short(value), 'end'),
    ]),
    ...steps.map((value) => text(x(value), HEIGHT - BOTTOM + 18, short(value), 'middle')),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, point.axis, 'middle'),
    ...series.flatMap(([name, those], index) => {
      const colour = COLOURS[index % COLOURS.length]!;
      const sorted = those.toSorted((a, b) => a.point.x - b.point.x);
      const path = sorted.map((each) => `${round(x(each.point.x))},${round(y(each.median))}`).join(' ');
      return [
        `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...sorted.map((each) => line(x(each.point.x), y(each.min), x(each.point.x), y(each.max), colour)),
        `<rect x="${WIDTH - RIGHT + 14}" y="${TOP + index * 20}" width="12" height="12" fill="${colour}"/>`,
        text(WIDTH - RIGHT + 32, TOP + 11 + index * 20, name),
      ];
    }),
  ]);
}
