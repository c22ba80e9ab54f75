import { isRecord } from '../option-faults.js';

/** Injection token of what was given as `consume`. */
export const CONSUMED_TOPICS = Symbol('cqrs-outbox:consumed-topics');

/** The topics that can be listened to; what else was given is a fault. */
export function topicsOf(given: unknown): string[] {
  return Array.isArray(given) ? given.filter(isTopic) : [];
}

/** What is wrong with what was given as `consume`. */
export function consumedTopicsFaults(given: unknown): string[] {
  if (given === undefined) return [];
  if (!Array.isArray(given) || given.length === 0)
    return [
      `consume must be a list of topics, such as ['meetings']${isRecord(given) ? ', not an object' : ''}`,
    ];
  const topics: readonly unknown[] = given;
  const others = topics.filter((topic) => !isTopic(topic));
  const twice = new Set(topics.filter((topic, index) => topics.indexOf(topic) !== index));
  return [
    ...others.map(
      (topic) => `consume: ${String(topic)} is no topic: give non-empty texts without white space`,
    ),
    ...[...twice].map((topic) => `consume: ${String(topic)} is there twice`),
  ];
}

function isTopic(value: unknown): value is string {
  return typeof value === 'string' && /^\S+$/.test(value);
}
