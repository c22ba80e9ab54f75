import { AggregateRoot } from '@cqrs-outbox/core';
import { ArrayType } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { MeetingState } from '../events/meeting-state.event.js';
import { UserJoined } from '../events/user-joined.event.js';
import { MeetingClosed } from './meeting-closed.event.js';
import { MeetingRuleError } from './meeting.errors.js';
import type { MeetingStatus } from './meeting-status.js';

/**
 * The aggregate: it keeps its rules, and records what happened to it. The outbox takes the recorded events when the
 * transaction commits, so that no command handler names them.
 */
@Entity({ tableName: 'meeting' })
export class Meeting extends AggregateRoot {
  @PrimaryKey({ type: 'string', length: 36 })
  id!: string;

  @Property({ type: 'string', length: 200 })
  title!: string;

  @Property({ type: 'string', length: 10 })
  status: MeetingStatus = 'open';

  @Property({ type: ArrayType })
  attendees: string[] = [];

  static open(id: string, title: string): Meeting {
    const meeting = new Meeting();
    meeting.id = id;
    meeting.title = title;
    meeting.recordState();
    return meeting;
  }

  /** Joining twice is joining once. */
  join(userId: string): void {
    this.assertOpen();
    if (this.attendees.includes(userId)) return;
    this.attendees = [...this.attendees, userId];
    this.record(UserJoined.of({ meetingId: this.id, userId }));
    this.recordState();
  }

  close(): void {
    this.assertOpen();
    this.status = 'closed';
    const { id: meetingId, title, attendees } = this;
    this.record(MeetingClosed.of({ meetingId, title, attendees }));
    this.recordState();
  }

  private assertOpen(): void {
    if (this.status === 'closed') throw new MeetingRuleError(`Meeting ${this.id} is closed.`);
  }

  private recordState(): void {
    const { id: meetingId, title, status, attendees } = this;
    this.record(MeetingState.of({ meetingId, title, status, attendees }));
  }
}
