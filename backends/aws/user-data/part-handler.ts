// SPDX-License-Identifier: Apache-2.0
// Runs on the machine, in the Python of its cloud-init: nothing else can be counted on in every image.

/** Type of the part that says where the data are; see {@link DataSource}. */
export const SOURCE_CONTENT_TYPE = 'text/x-ts-provider';

/** What the part handler is told, as JSON. */
export interface DataSource {
  readonly service: 'secretsmanager' | 'ssm';
  readonly region: string;
  /** Of the secrets or parameters, in the order of the data. */
  readonly names: readonly string[];
  /** SHA-256, hex, of the data. */
  readonly sha256: string;
  /** Of the service. Absent: the public one of the region. */
  readonly endpoint?: string;
  /** Where the metadata service is. Absent: its two well-known addresses. */
  readonly metadata?: readonly string[];
}

/**
 * A part handler of cloud-init. Handlers end in the order in which they began, and this one begins last: when it ends, what the others
 * made of this document is written, and cloud-init has not read it yet. So it hands the fetched data to another run of the same handlers,
 * and what that makes of them is what cloud-init goes on with, in the same stage of the same boot. That run is a process of its own,
 * since the data may bring part handlers too. Later boots take the file, as they would take the user data themselves.
 *
 * For Python 3.6 and later, and cloud-init 22 and later. Keep it far below 16 KB.
 */
export const PART_HANDLER = String.raw`#part-handler
# Fetches what this machine shall do from where its manager left it, and has cloud-init do it in this same boot.
import base64
import datetime
import email.utils
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

handler_version = 2
frequency = "always"

CONTENT_TYPE = "${SOURCE_CONTENT_TYPE}"
METADATA = ["http://169.254.169.254", "http://[fd00:ec2::254]"]
TRIES = 30
LONGEST_PAUSE = 15
TIMEOUT = 20
SERVICES = {
    "secretsmanager": ("secretsmanager.GetSecretValue", "secretsmanager.DeleteSecret"),
    "ssm": ("AmazonSSM.GetParameter", "AmazonSSM.DeleteParameter"),
}

kept = []
skew = datetime.timedelta(0)


def list_types():
    return [CONTENT_TYPE]


def handle_part(cloud, content_type, _filename, payload, how_often):
    if content_type == CONTENT_TYPE:
        path = os.path.join(os.path.realpath(cloud.get_ipath_cur()), "ts-provider-user-data")
        if not os.path.exists(path):
            obtain(json.loads(payload), path)
        kept.append(path)
    elif content_type == "__end__" and kept:
        again = [sys.executable, os.path.abspath(__file__), kept.pop(), how_often]
        subprocess.check_call(again, env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))


def obtain(source, path):
    credentials, data = patiently(lambda: fetch(source))
    # On disk before they are deleted: whatever happens now, the next boot goes on from the file.
    keep(path, data)
    for name in source["names"]:
        try:
            delete(source, credentials, name)
        except Exception as error:
            say("could not delete %s, its manager will: %s" % (name, reason(error)))


def patiently(work):
    for attempt in range(1, TRIES + 1):
        try:
            return work()
        except Exception as error:
            say("try %d of %d: %s" % (attempt, TRIES, reason(error)))
            if attempt == TRIES:
                raise RuntimeError("the user data could not be fetched")
            time.sleep(min(2 ** attempt, LONGEST_PAUSE))


def fetch(source):
    credentials = role_credentials(source.get("metadata", METADATA))
    data = b"".join(value_of(source, credentials, name) for name in source["names"])
    if hashlib.sha256(data).hexdigest() != source["sha256"]:
        raise ValueError("the checksum is another one")
    return credentials, data


def value_of(source, credentials, name):
    action = SERVICES[source["service"]][0]
    if source["service"] == "ssm":
        answer = call(source, credentials, action, {"Name": name, "WithDecryption": True})
        return base64.b64decode(answer["Parameter"]["Value"])
    return base64.b64decode(call(source, credentials, action, {"SecretId": name})["SecretBinary"])


def delete(source, credentials, name):
    action = SERVICES[source["service"]][1]
    if source["service"] == "ssm":
        call(source, credentials, action, {"Name": name})
    else:
        call(source, credentials, action, {"SecretId": name, "ForceDeleteWithoutRecovery": True})


def keep(path, data):
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def role_credentials(places):
    failure = None
    for place in places:
        try:
            token = metadata(place, "/latest/api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "300"})
        except Exception as error:
            failure = error
            continue
        header = {"X-aws-ec2-metadata-token": token}
        roles = "/latest/meta-data/iam/security-credentials/"
        answer = json.loads(metadata(place, roles + metadata(place, roles, "GET", header).split()[0], "GET", header))
        domain = metadata(place, "/latest/meta-data/services/domain", "GET", header).strip()
        return answer["AccessKeyId"], answer["SecretAccessKey"], answer["Token"], domain
    raise failure


def metadata(place, path, method, headers):
    request = urllib.request.Request(place + path, method=method, headers=headers)
    # Never through a proxy: its answer would be about another machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=5) as answer:
        return answer.read().decode()


def call(source, credentials, action, body):
    service, region = source["service"], source["region"]
    endpoint = source.get("endpoint", "https://%s.%s.%s" % (service, region, credentials[3]))
    content = json.dumps(body).encode()
    host = endpoint.split("://", 1)[1]
    headers = signed(credentials, (region, service), {"host": host, "x-amz-target": action}, content)
    request = urllib.request.Request(endpoint + "/", data=content, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read().decode() or "{}")
    except urllib.error.HTTPError as error:
        learn_time(error.headers.get("Date"))
        raise


def learn_time(date):
    # Early in a boot the clock may not be set yet, and a signature carries its time.
    global skew
    if date:
        then = email.utils.parsedate_to_datetime(date).replace(tzinfo=None)
        skew = then - utc()


def utc():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


def signed(credentials, scope, headers, content):
    # Signature version 4.
    key_id, secret, token = credentials[:3]
    now = (utc() + skew).strftime("%Y%m%dT%H%M%SZ")
    headers = dict(headers)
    headers["content-type"] = "application/x-amz-json-1.1"
    headers["x-amz-date"] = now
    headers["x-amz-security-token"] = token
    names = ";".join(sorted(headers))
    lines = "".join("%s:%s\n" % (name, headers[name].strip()) for name in sorted(headers))
    canonical = "\n".join(["POST", "/", "", lines, names, hashlib.sha256(content).hexdigest()])
    place = "/".join([now[:8], scope[0], scope[1], "aws4_request"])
    text = "\n".join(["AWS4-HMAC-SHA256", now, place, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in place.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        key_id,
        place,
        names,
        signature,
    )
    return headers


def reason(error):
    if isinstance(error, urllib.error.HTTPError):
        return "%s %s" % (error, error.read(500).decode(errors="replace"))
    return "%s: %s" % (type(error).__name__, error)


def say(line):
    sys.stderr.write("ts-provider: %s\n" % line)
    sys.stderr.flush()


def consume(path, how_often):
    from cloudinit.stages import Init

    init = Init()
    init.read_cfg()
    init.fetch(existing="trust")
    source = init.datasource
    with open(path, "rb") as file:
        source.userdata_raw = file.read()
    source.userdata = None
    # The run around this one sees to what the vendor gave.
    source.vendordata_raw = source.vendordata = None
    source.vendordata2_raw = source.vendordata2 = None
    init.consume_data(how_often)


if __name__ == "__main__":
    consume(sys.argv[1], sys.argv[2])
`;
