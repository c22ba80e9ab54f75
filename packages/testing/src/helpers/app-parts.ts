import type { INestApplicationContext, Type } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';

/** Where the providers of an application are found: the application itself, a testing module, or a `ModuleRef` in it. */
export type AppParts = Pick<INestApplicationContext, 'get'> | Pick<ModuleRef, 'get'>;

/** What any module of the application provides; undefined where none does. */
export function find<T>(app: AppParts, type: Type<T>): T | undefined {
  try {
    return app.get<T>(type, { strict: false });
  } catch {
    // Nest has no way to ask without an error.
    return undefined;
  }
}
