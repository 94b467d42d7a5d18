/**
 * ApiVersions: the first request of a connection; which apis in which versions, and which features.
 * A broker that lacks the version asked answers error 35 in the form of version 0. Versions: 3 flexible (the response
 * header is not), client software, features; 4 features may begin at version 0.
 */
import { api, array, bool, int16, int32, n64, string } from '../schema.js'

export const ApiVersions = api(
  18,
  'ApiVersions',
  { versions: '0-4', flexible: '3+', client: '0-4', broker: '0-4' },
  {
    request: {
      clientSoftwareName: string('3+', { ignorable: true }),
      clientSoftwareVersion: string('3+', { ignorable: true }),
    },
    response: {
      errorCode: int16('0+'),
      apiKeys: array('0+', {
        apiKey: int16('0+'),
        minVersion: int16('0+'),
        maxVersion: int16('0+'),
      }),
      throttleTimeMs: int32('1+', { ignorable: true }),
      supportedFeatures: array(
        '3+',
        {
          name: string('3+'),
          minVersion: int16('3+'),
          maxVersion: int16('3+'),
        },
        { ignorable: true, tag: 0, tagged: '3+' },
      ),
      finalizedFeaturesEpoch: n64('3+', { default: -1, ignorable: true, tag: 1, tagged: '3+' }),
      finalizedFeatures: array(
        '3+',
        {
          name: string('3+'),
          maxVersionLevel: int16('3+'),
          minVersionLevel: int16('3+'),
        },
        { ignorable: true, tag: 2, tagged: '3+' },
      ),
      zkMigrationReady: bool('3+', { default: false, ignorable: true, tag: 3, tagged: '3+' }),
    },
  },
)
