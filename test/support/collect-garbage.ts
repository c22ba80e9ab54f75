import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Collects all garbage; or what was made lately, as V8 does all the time, and takes the rest for alive. */
export const collectGarbage = runInNewContext('gc') as (options?: { readonly type: 'minor' }) => void;
