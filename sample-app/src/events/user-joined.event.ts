import { IntegrationEvent, NotificationEvent } from '@cqrs-outbox/core';
import { IsString } from 'class-validator';
import { TOPIC } from './topic.js';

/** Says that somebody has joined a meeting. */
@IntegrationEvent({ name: 'meetings.user-joined', topic: TOPIC, key: (e: UserJoined) => e.meetingId })
export class UserJoined extends NotificationEvent {
  @IsString() meetingId!: string;
  @IsString() userId!: string;
}
