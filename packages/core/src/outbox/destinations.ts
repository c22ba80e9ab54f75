import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import type { EventDeclaration } from '../messages/integration-event.decorator.js';

/** The transports that get an event, each once, and those of them that are not configured here. */
export function destinationsOf(
  { destinations }: EventDeclaration,
  { transports, defaultDestination }: ResolvedOptions,
): { wanted: string[]; unknown: string[] } {
  const wanted = [...new Set(destinations ?? [defaultDestination])];
  return { wanted, unknown: wanted.filter((destination) => !transports.has(destination)) };
}
