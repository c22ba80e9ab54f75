import { QueryHandler, type RequestHandler } from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { MeetingNotification } from '../read-model/meeting-notification.entity.js';
import { ListNotifications, type MeetingNotice } from './list-notifications.query.js';

@QueryHandler(ListNotifications)
export class ListNotificationsHandler implements RequestHandler<ListNotifications> {
  constructor(private readonly em: EntityManager) {}

  async execute({ meetingId }: ListNotifications): Promise<MeetingNotice[]> {
    // Message ids grow with time, and tell those of one millisecond apart.
    const orderBy = { occurredAt: 'asc', id: 'asc' } as const;
    const notifications = await this.em.find(MeetingNotification, { meetingId }, { orderBy });
    return notifications.map(({ text, occurredAt }) => ({ text, occurredAt }));
  }
}
