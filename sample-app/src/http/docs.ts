import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';

/** Serves the OpenAPI page at `/docs`, and the document itself at `/docs-json`. */
export function serveDocs(app: INestApplication): void {
  const info = new DocumentBuilder()
    .setTitle('Meetings')
    .setDescription('Commands answer when they have committed; reads follow when their events have arrived.')
    .setVersion('1.0')
    .build();
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, info));
}
