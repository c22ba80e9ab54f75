import { Type, type EntityProperty, type Platform } from '@mikro-orm/core';
import { BaseMySqlPlatform, BasePostgreSqlPlatform } from '@mikro-orm/sql';

/** Bytes of any length: MySQL's plain `blob` ends at 64 KiB. */
export class LongBlobType extends Type<Buffer | null, Buffer | null> {
  override getColumnType(_property: EntityProperty, platform: Platform): string {
    if (platform instanceof BaseMySqlPlatform) return 'longblob';
    return platform instanceof BasePostgreSqlPlatform ? 'bytea' : 'blob';
  }
}

/** Text of any length: MySQL's plain `text` ends at 64 KiB. */
export class LongTextType extends Type {
  override getColumnType(_property: EntityProperty, platform: Platform): string {
    return platform instanceof BaseMySqlPlatform ? 'longtext' : 'text';
  }
}

/** A name or key, told apart by case whatever collation a MySQL database has. */
export class KeyType extends Type {
  constructor(private readonly length: number) {
    super();
  }

  override getColumnType(_property: EntityProperty, platform: Platform): string {
    const type = `varchar(${this.length})`;
    if (platform instanceof BaseMySqlPlatform) return `${type} character set utf8mb4 collate utf8mb4_bin`;
    return platform instanceof BasePostgreSqlPlatform ? type : 'text';
  }
}
