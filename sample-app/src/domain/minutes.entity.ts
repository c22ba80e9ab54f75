import { ArrayType } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** Who took part in a meeting that is over. */
@Entity({ tableName: 'minutes' })
export class Minutes {
  @PrimaryKey({ type: 'string', length: 36 })
  meetingId!: string;

  @Property({ type: 'string', length: 200 })
  title!: string;

  @Property({ type: ArrayType })
  attendees!: string[];
}
