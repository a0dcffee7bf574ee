"""The local CA of a run, made by the gateway's own verb, and what is made of it: a bundle for clients that trust one
file alone, a trust store for Java, and a certificate for what a client speaks to that goes straight."""

import os
import shutil
import subprocess

import certifi

from table import CA, NAMES, PROGRAM


def run(*command):
    subprocess.run(command, check=True, cwd=CA, stdout=subprocess.DEVNULL)


def make():
    shutil.rmtree(CA, ignore_errors=True)
    os.makedirs(CA)
    with open(os.path.join(CA, "ca.toml"), "w") as file:
        file.write('[ca]\nfolder = "made"\n')
    run(PROGRAM, "ca", "init", "--config", "ca.toml", *(f"--name={name}" for name in NAMES))
    with open(os.path.join(CA, "bundle.pem"), "wb") as bundle:
        for path in (certifi.where(), os.path.join(CA, "made/ca.pem")):
            with open(path, "rb") as file:
                bundle.write(file.read())
    store = ["-keystore", "trust.p12", "-storepass", "changeit"]
    run("keytool", "-importcert", "-noprompt", "-alias", "nocache-gateway", "-file", "made/ca.pem", *store)
    front()


def front():
    with open(os.path.join(CA, "front.ext"), "w") as file:
        names = ",".join(["IP:127.0.0.1", *(f"DNS:{name}" for name in NAMES)])
        file.write(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "front-key.pem"]
    run("openssl", "req", *key, "-subj", "/CN=front", "-out", "front.csr")
    signed = ["-CA", "made/ca.pem", "-CAkey", "made/ca-key.pem", "-CAcreateserial", "-extfile", "front.ext"]
    run("openssl", "x509", "-req", "-in", "front.csr", *signed, "-days", "2", "-out", "front.pem")
