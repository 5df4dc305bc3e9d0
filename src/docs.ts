import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, getSchemaPath, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from './common/api-docs';

const DESCRIPTION = [
  'Electronic health records: accounts by JSON Web Token, personal data encrypted, a hash-linked chain per patient, every access on a trail.',
  '',
  'Sign in with `POST /api/v1/auth/login` and give the access token to **Authorize**. Errors are RFC 9457 problems with a `code` to switch on.',
].join('\n');

/** Swagger UI needs its own scripts and inline styles; nothing from elsewhere. */
const DOCS_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/** Whatever reads a body can meet one that is too large or of another type: the edge answers so before any route does. */
function documentBodies(document: OpenAPIObject): OpenAPIObject {
  const content = { 'application/problem+json': { schema: { $ref: getSchemaPath(Problem) } } };
  for (const { post, put, patch } of Object.values(document.paths)) {
    for (const operation of [post, put, patch]) {
      if (!operation) continue;
      operation.responses['413'] ??= { description: '`body_too_large`', content };
      operation.responses['415'] ??= { description: '`unsupported_media_type`', content };
    }
  }
  return document;
}

/** The OpenAPI document of the running application. */
export function openApiDocument(app: NestFastifyApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('BJWT-EHR')
    .setDescription(DESCRIPTION)
    .setVersion('1')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth()
    .build();
  const document = SwaggerModule.createDocument(app, config, {
    autoTagControllers: false, // each route names its tag
    operationIdFactory: (controller, method) => `${controller.replace('Controller', '')}_${method}`,
  });
  return documentBodies(document);
}

/** Swagger UI at /docs, the document at /docs-json. */
export function setUpDocs(app: NestFastifyApplication): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onSend', (request: FastifyRequest, reply: FastifyReply, _payload: unknown, done) => {
    if (/^\/docs([/?-]|$)/.test(request.url)) void reply.headers({ 'content-security-policy': DOCS_POLICY, 'cache-control': 'no-store' }); // its files bring another rule for caches
    done();
  });
  SwaggerModule.setup('docs', app, () => openApiDocument(app), {
    customSiteTitle: 'BJWT-EHR API',
    swaggerOptions: { persistAuthorization: true, docExpansion: 'none' },
  });
}
