import type { InjectionToken } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';

/** What any module of the application provides under a token; undefined where none does. */
export function findProvided<T>(moduleRef: ModuleRef, token: InjectionToken): T | undefined {
  try {
    return moduleRef.get<T>(token, { strict: false });
  } catch {
    // Nest has no way to ask without an error.
    return undefined;
  }
}
