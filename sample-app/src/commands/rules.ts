import { Matches } from 'class-validator';

/** In lower case, since some databases take `A` and `a` for one key. */
export const IsMeetingId = (): PropertyDecorator =>
  Matches(/^[a-z0-9-]{1,36}$/, { message: '$property must be 1 to 36 letters a-z, digits or hyphens' });

export const IsUserId = (): PropertyDecorator =>
  Matches(/^[\w.-]{1,64}$/, {
    message: '$property must be 1 to 64 letters, digits, dots, hyphens or underscores',
  });
