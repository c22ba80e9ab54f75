export { MikroOrmOutbox } from './mikro-orm-outbox.js';

export { createOutboxSchema } from './schema/create-outbox-schema.js';
export { outboxEntities } from './schema/outbox-entities.js';
export { dropOutboxSchema, outboxSchema, type SqlDialect } from './schema/outbox-schema.js';
