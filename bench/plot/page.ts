import type { Machine } from '../cli/machine.ts';
import type { BenchmarkReport } from '../cli/report.ts';
import { cellsOf, COLUMNS, floorsOf } from '../cli/table.ts';
import { barChart } from './bar-chart.ts';
import { lineCharts } from './line-chart.ts';

/** Between these two the page is made by `npm run bench -- --plot`; around them it is written by hand. */
export const PAGE_START = '<!-- results: written by npm run bench -- --plot -->';
export const PAGE_END = '<!-- end of the results -->';

export interface MachineReport extends BenchmarkReport {
  readonly machine: Machine;
}

/** Markdown: a table and its charts for each benchmark. */
export function sectionsOf(reports: readonly MachineReport[]): string {
  return reports.map(sectionOf).join('\n');
}

function sectionOf({ name, command, runs, date, machine, lines }: MachineReport): string {
  const libraries = Object.entries(machine.libraries).map(([library, version]) => `${library} ${version}`);
  const charts = [...barChart(name, lines), ...lineCharts(lines)].map(([file]) => file);
  return [
    `## ${name}`,
    '',
    `\`${command}\`: ${runs} paired runs on ${date}; ${machine.cores} cores (${machine.cpu.trim()}), ` +
      `${machine.memoryMb} MB, ${machine.system}, Node ${machine.node}, ${libraries.join(', ')}.`,
    '',
    row(COLUMNS),
    row(COLUMNS.map((_, column) => (column === 0 ? '---' : '--:'))),
    ...lines.map(cellsOf).map(row),
    '',
    ...floorsOf(lines).map((what) => `- floor: ${what}`),
    '',
    ...charts.map((file) => `![${file.replace(/\.svg$/, '')}](benchmarks/${file})`),
    '',
  ].join('\n');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
