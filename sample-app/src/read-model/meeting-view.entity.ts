import { ArrayType } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { MeetingStatus } from '../domain/meeting-status.js';

/** A meeting as it is read. Another service would have this table in a database of its own. */
@Entity({ tableName: 'meeting_view' })
export class MeetingView {
  @PrimaryKey({ type: 'string', length: 36 })
  meetingId!: string;

  @Property({ type: 'string', length: 200 })
  title!: string;

  @Property({ type: 'string', length: 10 })
  status!: MeetingStatus;

  @Property({ type: ArrayType })
  attendees!: string[];

  /** With milliseconds: MySQL's default has none. */
  @Property({ type: 'datetime', length: 3 })
  updatedAt!: Date;
}
