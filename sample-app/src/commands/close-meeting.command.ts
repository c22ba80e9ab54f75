import { Command } from '@cqrs-outbox/core';
import { IsMeetingId } from './rules.js';

export class CloseMeeting extends Command {
  @IsMeetingId() meetingId!: string;
}
