import { Command } from '@cqrs-outbox/core';
import { IsMeetingId, IsUserId } from './rules.js';

export class JoinMeeting extends Command {
  @IsMeetingId() meetingId!: string;
  @IsUserId() userId!: string;
}
