import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { Exclude, Expose, instanceToPlain, plainToInstance, Transform, Type } from 'class-transformer';
import { toInstance, toPlain } from './plain-event.js';
import { isUndecorated } from './undecorated.js';

class Undecorated {
  text = 'as it was';
  count?: number;

  get half(): number {
    return (this.count ?? 0) / 2;
  }

  get doubled(): number {
    return (this.count ?? 0) * 2;
  }

  set doubled(value: number) {
    this.count = value / 2;
  }

  greet(): string {
    return this.text;
  }
}

class WithType extends Undecorated {
  @Type(() => Number) count2?: number;
}
class WithTransform extends Undecorated {
  @Transform(({ value }) => String(value)) declare text: string;
}
class WithName extends Undecorated {
  @Expose({ name: 'words' }) declare text: string;
}
class WithSecret extends Undecorated {
  @Exclude() declare text: string;
}
class Heir extends WithSecret {}

const DECORATED = [WithType, WithTransform, WithName, WithSecret, Heir];

/** Text as JSON, so that each is parsed anew. */
const PLAIN = [
  '{}',
  '{"text":"a","count":1,"other":true,"none":null}',
  '{"half":7,"doubled":8}',
  '{"greet":"no method any more"}',
  '{"constructor":1,"text":"a"}',
  '{"__proto__":{"polluted":true},"text":"a"}',
  '{"toString":"a"}',
  '{"text":["a"],"count":{"value":1}}',
];

describe('The plain structure of an event, and an event of it', () => {
  it('are the work of class-transformer where a class has a decorator, or inherits one', () => {
    expect(isUndecorated(Undecorated)).toBe(true);
    expect(DECORATED.filter((target) => isUndecorated(target))).toEqual([]);
  });

  it.each(DECORATED)('follow the decorators of %p', (target) => {
    const event = Object.assign(new target(), { text: 'a', count: 1 });
    expect(toPlain(event)).toEqual(instanceToPlain(event));
    const plain = { text: 'a', words: 'b', count: 1, count2: '2' };
    expect(toInstance<object>(target, plain)).toEqual(plainToInstance(target, plain));
  });

  it.each([
    ['nothing', {}],
    ['primitive values', { text: 'a', count: 1, flag: false, none: null, unset: undefined, large: 1n }],
    ['a method of its own', { count: 1, own: () => 'called' }],
    ['what is nested', { list: [1, { a: new Date(0) }], inner: new Undecorated() }],
  ])('are those of class-transformer without decorators: %s', (_, properties) => {
    const event = Object.defineProperties(new Undecorated(), Object.getOwnPropertyDescriptors(properties));
    const plain = toPlain(event);
    expect(plain).toStrictEqual(instanceToPlain(event));
    expect(Object.keys(plain)).toEqual(Object.keys(instanceToPlain(event)));
  });

  it('are those of class-transformer for an object without a class', () => {
    const bare = Object.assign(Object.create(null) as object, { text: 'a' });
    expect(toPlain(bare)).toEqual(instanceToPlain(bare));
  });

  it.each(PLAIN)('are those of class-transformer without decorators: %s', (json) => {
    const event = toInstance(Undecorated, JSON.parse(json) as object);
    expect(event).toBeInstanceOf(Undecorated);
    expect(event.greet).toBe(Undecorated.prototype.greet);
    expect(Object.getPrototypeOf(event)).toBe(Undecorated.prototype);
    const names = ['constructor', '__proto__', 'toString'].some((name) => json.includes(`"${name}"`));
    const reference = plainToInstance(Undecorated, JSON.parse(json) as object);
    // Those names class-transformer takes for something else, see toInstance.
    if (!names) expect(event).toStrictEqual(reference);
    expect(event).not.toHaveProperty('polluted');
  });
});
