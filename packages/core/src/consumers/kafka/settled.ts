import { isObservable, lastValueFrom } from 'rxjs';

/** Waits for a handler, and for the end of the stream that it may answer with. */
export async function settled(handle: () => Promise<unknown>, atEnd: () => void): Promise<void> {
  try {
    const result = await handle();
    if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
  } finally {
    atEnd();
  }
}
