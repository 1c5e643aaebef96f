#!/bin/bash
# Makes the certificates of the tests anew: an authority, and what it signed. Their key guards nothing.
set -e
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -subj "/CN=Test Authority" -days 36500 -out ca.pem -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
openssl ecparam -name prime256v1 -genkey -noout -out server.key
openssl req -new -key server.key -subj "/CN=localhost" -out s.csr
printf "subjectAltName=DNS:localhost" > good.ext
printf "subjectAltName=DNS:voice.example.com" > other.ext
openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -extfile good.ext -out good.pem
openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -extfile other.ext -out other.pem
openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days -1 -extfile good.ext -out expired.pem
openssl req -x509 -new -key server.key -subj "/CN=localhost" -days 36500 -addext "subjectAltName=DNS:localhost" -out self.pem
for name in ca good other expired self; do openssl x509 -in $name.pem -outform DER -out $name.der; done
openssl pkcs8 -topk8 -nocrypt -in server.key -outform DER -out server.key.der
rm -f ./*.pem ./*.ext ./*.csr ./*.srl ca.key server.key
