import type { Scenario } from '../world/scenario.ts';
import type { Choice, Failure } from './explore.ts';

/** So long may a run be that is told step by step. */
const MAX_LINES = 400;

/** What a person needs to understand a failure, and to see it again. */
export function reportOf({ name }: Scenario, { choices, run }: Failure): string {
  return [
    ...run.violations,
    '',
    `MODEL_REPLAY='${name}|${textOf(choices)}' shows it again:`,
    ...shortened(run.trace),
  ].join('\n');
}

/** What goes round in circles is not told to its end. */
function shortened(trace: readonly string[]): readonly string[] {
  const [first, last] = [trace.slice(0, MAX_LINES), trace.slice(MAX_LINES).slice(-10)];
  return last.length < 10 ? [...first, ...last] : [...first, '  ...', ...last];
}

/** Choices as one word. */
export function textOf(choices: readonly Choice[]): string {
  return choices.map(({ point, option }) => `${point}=${option}`).join(',');
}

/** The reverse of {@link textOf}. */
export function choicesOf(text: string): Choice[] {
  return text.split(',').flatMap((part) => {
    const [point, option] = part.split('=').map(Number);
    return point !== undefined && option !== undefined ? [{ point, option }] : [];
  });
}
