import { createRequire } from 'node:module';
import { Exclude, Expose, Transform, Type } from 'class-transformer';

/** What class-transformer knows of classes, by the class; of each kind of decorator one map. */
type Decorations = readonly ReadonlyMap<unknown, unknown>[];

const KINDS = ['_typeMetadatas', '_transformMetadatas', '_exposeMetadatas', '_excludeMetadatas'] as const;

const decorations = readDecorations();

/**
 * Whether a class has no decorator of class-transformer, and no ancestor of it has one: class-transformer then leaves its
 * primitive values as they are. False where that can't be told.
 */
export function isUndecorated(target: unknown): boolean {
  if (!decorations) return false;
  // An object without a prototype has no class.
  for (let ancestor = target; typeof ancestor === 'function'; ancestor = Object.getPrototypeOf(ancestor)) {
    for (const kind of decorations) if (kind.has(ancestor)) return false;
  }
  return true;
}

/** Neither an object nor a function, which class-transformer would look into, or call. */
export function isPrimitive(value: unknown): boolean {
  return value === null || (typeof value !== 'object' && typeof value !== 'function');
}

/** Undefined when it is another storage than that of the decorators, as a bundler can make of it, or has another form. */
function readDecorations(): Decorations | undefined {
  let storage: Partial<Record<string, unknown>>;
  try {
    const require = createRequire(import.meta.url);
    const loaded = require('class-transformer/cjs/storage.js') as { defaultMetadataStorage: typeof storage };
    storage = loaded.defaultMetadataStorage;
  } catch {
    return undefined;
  }
  const maps = KINDS.map((kind) => storage[kind]);
  const probes = [Type(() => Object), Transform(() => undefined), Expose(), Exclude()].map((decorate) => {
    class Probe {
      property: unknown;
    }
    decorate(Probe.prototype, 'property');
    return Probe;
  });
  const areSeen = maps.every((map, kind) => map instanceof Map && map.has(probes[kind]));
  return areSeen ? (maps as Map<unknown, unknown>[]) : undefined;
}
