/**
 * DescribeUserScramCredentials, AlterUserScramCredentials: passwords for SASL/SCRAM, salted by the client.
 * Mechanism 1 is SCRAM-SHA-256, 2 is SCRAM-SHA-512. Schema only.
 */
import { api, array, bytes, int8, int16, int32, string } from '../schema.js'

export const DescribeUserScramCredentials = api(
  50,
  'DescribeUserScramCredentials',
  { versions: '0', flexible: '0+' },
  {
    request: {
      users: array(
        '0+',
        {
          name: string('0+'),
        },
        { nullable: '0+' },
      ),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      results: array('0+', {
        user: string('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+' }),
        credentialInfos: array('0+', {
          mechanism: int8('0+'),
          iterations: int32('0+'),
        }),
      }),
    },
  },
)

export const AlterUserScramCredentials = api(
  51,
  'AlterUserScramCredentials',
  { versions: '0', flexible: '0+' },
  {
    request: {
      deletions: array('0+', {
        name: string('0+'),
        mechanism: int8('0+'),
      }),
      upsertions: array('0+', {
        name: string('0+'),
        mechanism: int8('0+'),
        iterations: int32('0+'),
        salt: bytes('0+'),
        saltedPassword: bytes('0+'),
      }),
    },
    response: {
      throttleTimeMs: int32('0+'),
      results: array('0+', {
        user: string('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+' }),
      }),
    },
  },
)
