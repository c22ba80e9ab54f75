import { randomUUID } from 'node:crypto';
import { instanceToPlain, plainToInstance } from 'class-transformer';
import type { EventClass } from './event.js';
import { isPrimitive, isUndecorated } from './undecorated.js';

/** Marks names for as long as class-transformer has a payload in hand. Random, so that no payload can have it. */
const MARK = `:${randomUUID()}`;

/**
 * The plain structure of an event: what its class's decorators of class-transformer and `@Encoded` make of it. A
 * {@link Serializer} of your own starts from it.
 *
 * @throws TypeError for a record with a key that class-transformer would leave out without a word
 */
export function toPlain(event: object): Record<string, unknown> {
  const copy = isUndecorated(event.constructor) ? flatCopy(event) : undefined;
  if (copy) return copy;
  refuseLostNames(event, new Set());
  return instanceToPlain(event);
}

/**
 * Makes an event of a plain structure by class-transformer and the codecs of `@Encoded`, which may throw anything.
 *
 * Names that every object has (`constructor`, `__proto__`, `toString`) are data in a record, and are dropped from the
 * instance of a class. class-transformer takes a record's `constructor` for its class, and drops the others.
 */
export function toInstance<E extends object>(eventClass: EventClass<E>, plain: object): E {
  if (!hasInheritedName(plain)) {
    const instance = isUndecorated(eventClass) ? flatInstance(eventClass, plain) : undefined;
    return instance ?? plainToInstance(eventClass, plain);
  }
  const instance = plainToInstance(eventClass, marked(plain) as object);
  unmark(instance, new Set());
  return instance;
}

/** What class-transformer makes of an event of primitive values, sooner; undefined for another one. */
function flatCopy(event: object): Record<string, unknown> | undefined {
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(event)) {
    const value = (event as Record<string, unknown>)[name];
    if (!isPrimitive(value) || name === '__proto__' || name === 'constructor') return undefined;
    copy[name] = value;
  }
  return copy;
}

/** The other way round; the class's own methods and what it only gives out are not overwritten there either. */
function flatInstance<E extends object>(eventClass: EventClass<E>, plain: object): E | undefined {
  if (!Object.values(plain).every(isPrimitive)) return undefined;
  const instance = new eventClass();
  for (const [name, value] of Object.entries(plain)) {
    const own = Object.getOwnPropertyDescriptor(eventClass.prototype as object, name);
    const target = instance as Record<string, unknown>;
    if ((own && !own.set) || typeof target[name] === 'function') continue;
    target[name] = value;
  }
  return instance;
}

/**
 * Makes an event of what its schema has put out, as it is. What the class itself has, such as a method, and names that
 * every object has, are not overwritten.
 */
export function toInstanceOfOutput<E extends object>(eventClass: EventClass<E>, output: object): E {
  const instance = new eventClass();
  for (const [name, value] of Object.entries(output)) {
    if (name in (eventClass.prototype as object)) continue;
    Object.defineProperty(instance, name, { value, writable: true, enumerable: true, configurable: true });
  }
  return instance;
}

/** A plain object, of any realm: neither an instance of a class, nor an array, a date or bytes. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return (
    prototype === null ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'constructor'))
  );
}

function isInherited(name: string): boolean {
  return name in Object.prototype;
}

/** Objects with an inside to look at: not bytes, of which each would be a property. */
function isStructure(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);
}

function membersOf(value: object): Iterable<unknown> {
  if (value instanceof Map) return [...(value as Map<unknown, unknown>)].flat();
  if (value instanceof Set) return value as Set<unknown>;
  return Array.isArray(value) ? (value as unknown[]) : Object.values(value as Record<string, unknown>);
}

function refuseLostNames(value: unknown, seen: Set<object>): void {
  if (!isStructure(value) || seen.has(value)) return;
  seen.add(value);
  if (isRecord(value)) {
    const lost = ['constructor', '__proto__'].find((name) => Object.hasOwn(value, name));
    if (lost !== undefined)
      throw new TypeError(
        `a record has the key ${lost}, which does not survive class-transformer; use a Map with @Encoded(mapCodec(...))`,
      );
  }
  for (const member of membersOf(value)) refuseLostNames(member, seen);
}

function hasInheritedName(value: unknown): boolean {
  if (!isStructure(value)) return false;
  if (Array.isArray(value)) return value.some(hasInheritedName);
  for (const name of Object.keys(value)) {
    if (isInherited(name)) return true;
    const member = (value as Record<string, unknown>)[name];
    if (typeof member === 'object' && hasInheritedName(member)) return true;
  }
  return false;
}

/** A copy in which such names are marked. */
function marked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => marked(item));
  if (!isRecord(value)) return value;
  const entries = Object.entries(value);
  return Object.fromEntries(
    entries.map(([name, item]) => [isInherited(name) ? name + MARK : name, marked(item)]),
  );
}

/** Gives records their names back, and drops them from instances. */
function unmark(value: unknown, seen: Set<object>): void {
  if (!isStructure(value) || seen.has(value)) return;
  seen.add(value);
  for (const member of membersOf(value)) unmark(member, seen);
  const object = value as Record<string, unknown>;
  for (const name of Object.keys(object)) {
    if (!name.endsWith(MARK)) continue;
    const item = object[name];
    Reflect.deleteProperty(object, name);
    if (!isRecord(object)) continue;
    const original = name.slice(0, -MARK.length);
    Object.defineProperty(object, original, {
      value: item,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
}
