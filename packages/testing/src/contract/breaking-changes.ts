import type { JsonSchema } from '@cqrs-outbox/core';
import type { EventContract } from './event-contract.js';

/** A schema with what its references lead to. */
interface Definition {
  readonly schema: JsonSchema;
  readonly definitions: Readonly<Record<string, JsonSchema>>;
}

/**
 * What a change of the contract breaks, in words, for a test or a review; empty when consumers of the old contract can read
 * what is published now, and messages of before can still be read.
 *
 * Breaking are: an event or topic that is gone; a lower version; within one version a property that is gone, is of another
 * type or format, has become required or is not required any more, at any depth; a raised version without an upcaster from the
 * old one. Not looked into are alternatives (`anyOf`), and limits such as a maximum.
 */
export function breakingChanges(before: readonly EventContract[], after: readonly EventContract[]): string[] {
  return before.flatMap((old) => {
    const now = after.find(({ name }) => name === old.name);
    if (!now) return [`${old.name} is gone`];
    const changes: string[] = [];
    if (now.topic !== old.topic) changes.push(`${old.name} goes to ${now.topic}, no longer to ${old.topic}`);
    return [...changes, ...versionChanges(old, now)];
  });
}

function versionChanges(old: EventContract, now: EventContract): string[] {
  const { name } = old;
  if (now.version < old.version) return [`${name} has version ${now.version}, it had ${old.version}`];
  const unread =
    now.oldestVersion > old.oldestVersion
      ? [`${name} of version ${old.oldestVersion} can't be read any more: it needs an upcaster`]
      : [];
  if (now.version > old.version) return unread;
  return [...unread, ...schemaChanges(name, definitionOf(old), definitionOf(now), new Set())];
}

function schemaChanges(path: string, old: Definition, now: Definition, seen: Set<JsonSchema>): string[] {
  const from = resolved(old);
  const to = resolved(now);
  if (seen.has(from)) return [];
  seen.add(from);
  const [was, is] = [typeOf(from), typeOf(to)];
  if (was !== is) return [`${path} is ${is}, it was ${was}`];
  const changes = propertyChanges(path, old, now, seen);
  const [items, itemsNow] = [from['items'], to['items']] as (JsonSchema | undefined)[];
  if (!items || !itemsNow) return changes;
  return [
    ...changes,
    ...schemaChanges(`${path}[]`, { ...old, schema: items }, { ...now, schema: itemsNow }, seen),
  ];
}

function propertyChanges(path: string, old: Definition, now: Definition, seen: Set<JsonSchema>): string[] {
  const from = propertiesOf(resolved(old));
  const to = propertiesOf(resolved(now));
  const changes: string[] = [];
  for (const [property, { schema, isRequired }] of from) {
    const name = `${path}.${property}`;
    const next = to.get(property);
    if (!next) changes.push(`${name} is gone`);
    else {
      if (isRequired && !next.isRequired) changes.push(`${name} is not required any more`);
      if (!isRequired && next.isRequired) changes.push(`${name} has become required`);
      changes.push(...schemaChanges(name, { ...old, schema }, { ...now, schema: next.schema }, seen));
    }
  }
  for (const [property, { isRequired }] of to) {
    if (isRequired && !from.has(property)) changes.push(`${path}.${property} is new and required`);
  }
  return changes;
}

function propertiesOf(schema: JsonSchema): Map<string, { schema: JsonSchema; isRequired: boolean }> {
  const { properties = {}, required = [] } = schema as {
    properties?: Record<string, JsonSchema>;
    required?: readonly string[];
  };
  return new Map(
    Object.entries(properties).map(([name, property]) => [
      name,
      { schema: property, isRequired: required.includes(name) },
    ]),
  );
}

function definitionOf({ payload }: EventContract): Definition {
  return { schema: payload, definitions: (payload['$defs'] ?? {}) as Record<string, JsonSchema> };
}

function resolved({ schema, definitions }: Definition): JsonSchema {
  const reference = schema['$ref'];
  if (typeof reference !== 'string') return schema;
  return definitions[reference.replace('#/$defs/', '')] ?? schema;
}

/** `string (date-time)`, for people and comparing. */
function typeOf({ type, format }: JsonSchema): string {
  const name = type === undefined ? 'anything' : text(type);
  return format === undefined ? name : `${name} (${text(format)})`;
}

function text(keyword: unknown): string {
  return typeof keyword === 'string' ? keyword : JSON.stringify(keyword);
}
