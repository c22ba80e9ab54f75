import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { describeMachine } from '../cli/machine.ts';
import type { BenchmarkReport } from '../cli/report.ts';
import { barChart } from './bar-chart.ts';
import { lineCharts } from './line-chart.ts';
import { PAGE_END, PAGE_START, sectionsOf, type MachineReport } from './page.ts';

const PAGE = new URL('../../docs/benchmarks.md', import.meta.url);
const CHARTS = new URL('../../docs/benchmarks/', import.meta.url);
/** What the page was made of, so that one benchmark can be measured again without the others. */
const RESULTS = new URL('results.json', CHARTS);

/** Writes the results into docs/benchmarks.md, between its marks, and a chart of each benchmark beside it. */
export async function writeDocs(reports: readonly BenchmarkReport[]): Promise<void> {
  await mkdir(CHARTS, { recursive: true });
  const machine = describeMachine();
  const results = new Map((await readResults()).map((report) => [report.name, report]));
  for (const report of reports) results.set(report.name, { ...report, machine });
  const all = [...results.values()];
  const files = new Map(
    reports.flatMap(({ name, lines }) => [...barChart(name, lines), ...lineCharts(lines)]),
  );
  for (const [name, svg] of files) await writeFile(new URL(name, CHARTS), svg);
  await writeFile(RESULTS, `${JSON.stringify(all, undefined, 1)}\n`);
  const page = await readFile(PAGE, 'utf8');
  const [head, rest = ''] = page.split(PAGE_START);
  const [, tail = ''] = rest.split(PAGE_END);
  const written = `${head}${PAGE_START}\n\n${sectionsOf(all)}\n${PAGE_END}${tail}`;
  const style = await resolveConfig(fileURLToPath(PAGE));
  await writeFile(PAGE, await format(written, { ...style, parser: 'markdown' }));
}

async function readResults(): Promise<MachineReport[]> {
  try {
    return JSON.parse(await readFile(RESULTS, 'utf8')) as MachineReport[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
