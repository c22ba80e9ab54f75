import { Entity, Index, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** What the people in a meeting are told. */
@Entity({ tableName: 'meeting_notification' })
export class MeetingNotification {
  /** The message's id. */
  @PrimaryKey({ type: 'string', length: 36 })
  id!: string;

  @Index()
  @Property({ type: 'string', length: 36 })
  meetingId!: string;

  @Property({ type: 'string', length: 200 })
  text!: string;

  @Property({ type: 'datetime', length: 3 })
  occurredAt!: Date;
}
