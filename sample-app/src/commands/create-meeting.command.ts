import { Command } from '@cqrs-outbox/core';
import { IsString, Length } from 'class-validator';
import { IsMeetingId } from './rules.js';

export class CreateMeeting extends Command {
  @IsMeetingId() meetingId!: string;
  @IsString() @Length(1, 200) title!: string;
}
