export { MikroOrmOutbox } from './mikro-orm-outbox.js';

export { createOutboxSchema } from './schema/create-outbox-schema.js';
export { migrateOutboxSchema } from './schema/migrate-outbox-schema.js';
export { outboxEntities } from './schema/outbox-entities.js';
export { dropOutboxSchema, outboxSchema } from './schema/outbox-schema.js';
export { type SqlDialect } from './schema/sql-dialect.js';
export { upgradeOutboxSchema } from './schema/upgrade-outbox-schema.js';
