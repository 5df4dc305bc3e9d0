import { Global, Module, type DynamicModule, type FactoryProvider } from '@nestjs/common';
import { BlindIndex } from './blind-index';
import { KeyRing } from './key-ring.service';
import { Argon2idHasher, type HasherParameters, PasswordHasher } from './password-hasher';
import { ROOT_KEYS, type RootKeys } from './root-keys';

/** What this module needs from the outside; it reads no configuration itself. */
export interface CryptoSettings {
  readonly keys: RootKeys;
  /** Default: `DEFAULT_HASHER`. */
  readonly hasher?: HasherParameters;
}

const SETTINGS = Symbol('CRYPTO_SETTINGS');

/** Global: `CryptoModule.register({ inject: [Config], useFactory: (config: Config) => ({ keys: openRootKeys(…), hasher: … }) })`. */
@Global()
@Module({})
export class CryptoModule {
  static register(settings: Pick<FactoryProvider<CryptoSettings>, 'inject' | 'useFactory'>): DynamicModule {
    return {
      module: CryptoModule,
      providers: [
        { ...settings, provide: SETTINGS },
        { provide: ROOT_KEYS, inject: [SETTINGS], useFactory: ({ keys }: CryptoSettings) => keys },
        { provide: PasswordHasher, inject: [SETTINGS], useFactory: ({ keys, hasher }: CryptoSettings) => new Argon2idHasher(keys, hasher) },
        KeyRing,
        BlindIndex,
      ],
      exports: [ROOT_KEYS, PasswordHasher, KeyRing, BlindIndex],
    };
  }
}
