import { CqrsOutboxModule, type CqrsOutboxOptions, LoggingInterceptor } from '@cqrs-outbox/core';
import { MikroOrmOutbox, outboxEntities } from '@cqrs-outbox/mikro-orm';
import { MikroOrmModule } from '@mikro-orm/nestjs';
import { type DynamicModule, Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { CloseMeetingHandler } from './commands/close-meeting.handler.js';
import { CreateMeetingHandler } from './commands/create-meeting.handler.js';
import { JoinMeetingHandler } from './commands/join-meeting.handler.js';
import type { MeetingsConfig } from './config/config.js';
import { LogClosedHandler } from './domain/log-closed.handler.js';
import { Meeting } from './domain/meeting.entity.js';
import { Meetings } from './domain/meetings.repository.js';
import { Minutes } from './domain/minutes.entity.js';
import { WriteMinutesHandler } from './domain/write-minutes.handler.js';
import { HealthController } from './http/health.controller.js';
import { MeetingsController } from './http/meetings.controller.js';
import { MeetingEventsController } from './messages/meeting-events.controller.js';
import { MessageListener } from './messages/message-listener.js';
import { GetMeetingHandler } from './queries/get-meeting.handler.js';
import { ListNotificationsHandler } from './queries/list-notifications.handler.js';
import { MeetingNotification } from './read-model/meeting-notification.entity.js';
import { MeetingView } from './read-model/meeting-view.entity.js';
import { NotifyRoomClosedHandler } from './read-model/notify-room-closed.handler.js';
import { NotifyUserJoinedHandler } from './read-model/notify-user-joined.handler.js';
import { UpdateMeetingViewHandler } from './read-model/update-meeting-view.handler.js';

const entities = [Meeting, Minutes, MeetingView, MeetingNotification, ...outboxEntities];

/** What a program may change that embeds the application, such as the demo. */
export type OutboxOverrides = Pick<CqrsOutboxOptions, 'interceptors' | 'relay'>;

/** Handlers are found by their decorators; being a provider is all that they need. */
@Module({
  controllers: [MeetingsController, MeetingEventsController, HealthController],
  providers: [
    CreateMeetingHandler,
    JoinMeetingHandler,
    CloseMeetingHandler,
    Meetings,
    WriteMinutesHandler,
    LogClosedHandler,
    MessageListener,
    UpdateMeetingViewHandler,
    NotifyUserJoinedHandler,
    NotifyRoomClosedHandler,
    GetMeetingHandler,
    ListNotificationsHandler,
  ],
})
export class AppModule {
  static forRoot({ database, broker }: MeetingsConfig, overrides: OutboxOverrides = {}): DynamicModule {
    return {
      module: AppModule,
      imports: [
        MikroOrmModule.forRoot({ ...database, entities }),
        ScheduleModule.forRoot(),
        CqrsOutboxModule.forRoot({
          source: 'meetings-service',
          store: MikroOrmOutbox,
          transport: broker.transport,
          interceptors: [LoggingInterceptor],
          ...overrides,
        }),
      ],
    };
  }
}
