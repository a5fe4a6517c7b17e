#!/bin/bash
# The first boot of a machine: image and Docker, then the gateway of the instance id that it is reserved for, so that it is hot before
# it has a user. What is between at signs is filled in by adapters/aws/user_data.py, a made-up id for the real one, which is known here only.
set -u -o pipefail
umask 077
mkdir -p /var/lib/openclaw
base64 -d <<'END' | gzip -d >/var/lib/openclaw/openclaw-machine.sh || exit 9
H4sIAAAAAAACA608/1bbOJf/8xSqa5pA4zgJBdpQt5NCOsNXSnoC7ey3JM2YWCEeYjtjO1Aasq+wf+777ZPsvVeSLSeBdubsnB5iy9LV1dX9rat5+sS+9EP70k3GG0/Z
72M3ZS4L3OHYDznzIp6wURSzdMzZdOKm8Bw02R/RlIfDiXs7UB2/tLvv2DW/c27cyYyzarX6R5WdRil8vGLxLEzYLEz9CcAB+H7Chu5kwr0qzPg54THz3NRlPLjkXgJd
4HvKv6UHjAN01p2F7DAKAjf0WMJD6AFjWTRiflphSYSoxRxhRoDHDY8TPwrheXLXJKxxCI9LCc7V/uanbBh5PGmyGiwu5BXWYLPEvYKHHRZNoCe74iGP3RSgVNgLdhNN
ZgHH6dwwwqkqbFc1Bn6SwPoqbA9mGcY8ZR4Pfe5V2D4LI+YHBPclPl+5Kb917yrsFSMoiE0y5pPJcMyH18zzE/dywp2zw0atvsueMj9kf7TYs2fsHbu/Z9FwMHL9yR8V
hj9IUlhuwN0wpc25BJAbMXc9XDXrHA5OWx/bjtojS86NH7qdzrljzjuf2qeHJ63f6b1p2TdubE/8S1sNWRSgfemcfAZ4phxvy9XD61n7sNs+P8s/CTIk+O3z8ZFTr9Vq
+PzuBKb93//5b/GvAPzsvPMJ4XROj86cnR3q3m2//3zWPnL2X9JiOudtx06DaYaeFfPRLOFeAdD71vHJ527bKf0ql4uk4h5LI5akbpzeq3Z6Y5eTaHjNvfsugkKKQj+Q
A+++3To66h6fAgL3cnmDzu+n7e7g82nrC8zRenfSLsHunQNvDaMwdYH9gb3YyI+TlE3jaMgTYK+pmyQgO+ft7keGnESMSrKVzuIQBOyOAWNWGHL1NedT4Goml4VgR/7V
TDAhG8VRwC454RgDd+GW85vHWWgPWChdQpD6Mv5t6qIM+WmBer93W58+tbtOyTB/Mdgzxa+O+WQjjd0pM659GGzRckzFUI03tsdv7HA2mRhipcen5xu3Y6A7u3VB1FTP
AxI6x3x7wC6Yic/MukpZvfGS9ZHJBfDaWsgHIKeseUDSuqFGO2wfh4JocBRpapSIUsP+Sw2hJnuznn0EpgSbJRPYBLazBwz7TCL/RExa2thYVnflLTbfYKwMchkAeRkS
bWtjAR1Fg/yegEawZsyK2NSfcuRHaJwFbnLNavv78AybEQEvnhwOWicnziH7rYNyNscfkMo4itIF9PJDYNlwyJ1SSVNO+CYkEZ9GMU/GTk3oHGwQkohPgpvwKeZXcmAY
3UJn0CQ8cRq1GkwCDHUJU9ebFk45dBPOTGyD2eGdAWPzqRvzLdRFpOMTVqLJSqwk4JaADPNfmo2FwQ4OaAxJWnGEXIq2DqVMCZjSowJnAE3rYg9OINTND6cQ/R7BFGZZ
wRW6A5lW+06iq2S5I1FyHQGiKbvHDZzyYQpPKOmWWBy8BaABliGtAtneUvofbJVBxqrJVgyw3J97oeskYe4RgXu5uHuJxr2GxD2icI8rKhpvOTlP3CH8BNeeHzMLhMvM
zIGRCd8r6AEI8vDGj6MQAKZrGSgngiBgtjr6QVngQ/bqjZHZElTQhvw4whdm3TKzXF4yGuw5269tbYFhzQ0lvJSkuQZWEq7DGKx7QkpRkqwkYesrNQCAOUe0bduyBwtD
CjUCRaEGtXrYOWqzj+2zs9av7Q2UCz9MR6y0mfSIrxoGe/OsQbINtDHMugIh9lgCKZ2220ftI/ah/e8z2PTO+W/trnyBv86X1snnNmxDE1WIQBpMtI/6HT0RcotgvzaQ
GcGTYiHnHvccg5l1ZqB7FN2qVxN4ht1GsScHoL9Ar6S2gNN2FgbqOSIG8oA5x8+bm872gtouQOfSAMdh2842qmtTzkBNMAsMY8Y26/f1LYB5xf6n7jXwNvhA2M/IYNI0
T7edBXP+C7YVhk3dNOUxooUdt9bAw4l8hAV2FE0Y2LRoNvHAOhpSSdFmWDcSBttMcJFqJtFJEsuciwdb4G8zXC4ZGYGf+IrIfe2xbfOh1WG3RHZWWy0XIq2AEIW6Jgek
n7YYH44jVvoaDa0L1/pes1715y8qjdrCLCnh0FTYvdDW2agL6l+vvNK6C02adYFXC7u51gghv9AhC716j4ZAA1nv5z1IH+ffAMOW9Z84af5YHTTtX6z+83yQ0DtrRtmD
5071l2ahs1BBazo/t/vPne28o9DahY7QS4NF0itpP0uljL0/Pmk3gUmAX/gteUIc/WX0pnAHPJeEAPpX2C0oB5CsWHBWihJEG5cy0Ef1Kow3kO+Tu3DI9Ibghlmj87xJ
E/droGwoMQGRbsIcAE6qniooS5a4dwlKM0q38nswlCHHwWMWCEJifzXrjm1PDZbrRQ2GoTtKcmJAhMdyYlgOF+pDD2pm4QRcVPA3qSuFTbcgTgnnoUJAqBVsIWx46Jhl
JEeORQ6wgARq83K5Xntqarz7xmHYMkdATau2AG2tidIOM7S+JqGB+FBYd8nR29UFQQNsCMsDW/gAYq9fvzYK/YFET5llWcIO8NSlwNP1vJgoAmai9fsZdiBSDmex0vrI
RkW3HOwKxsbr2EnoJmFwQLckyEsACuAm4HACE8LDOLq1eBwDz1lWGEHY8O2OlbZL8AbThGAordQPeARL24W2wP1G76xRgzcQsfgO6CafaISKHSzlXljkla5hED/wlBn6
1Dr/DUgMypxBbA9ugo00sZAoGRMA4qArgSyD9mFj8LF93jpqnbfA+na/HB+2B+3To08d8LKb1jhNp03bru+9qjZ2X1Tl78IWkCG+uiZuol+HFL4kCnEBruWvGXb89Bkl
Cj7Z7tS3qTvtZGkM8Qrwq8OM/7Dc28Tiw4al9tCiflaaTizQQRFEOE22VzNKxGlAJYy56pq5/jGsJhgPQ9h0iQOxrI6zwDIjmZ1L/8jnE08SGYPxpkqggNXF1IaQezRl
Lrq+IX3+11nnlKG3WmAnJBkwicdKiMy9phuq2z1QOD2DbTcZPPbKF1/hL/zX3+5t9Yzqtt2rg+qQKMEqJUJy6yDaODtn563ur+1z9q5z9G+BpBsmoBUOJNEStgeaCyUR
BYNUVhhVWF02YjrFDUsQTsPABOLpjG1i1KjI/BjmTiOguoS8ofQ5cJV4aFqCv7rtX487p/BWllyKBBty9ChtaQIWaKQRtJN38t0A8w6z2E9BFGIwxGHqu5PE3qLQElDQ
OhsP9gZsAO7mpol03l4Yy5yjlqGEQfL94HP3RPB+AsxvNqqmQLXqBu73KASqV0FTINpi+YDLXPdVSshPwIabiQ3chqyY+Fc3L7AJXppu8L25mTQzVpwrNDbtBRoFMZm0
PAWwiWBvfXBZcSZrDTFL8YHfHXtCSSKZjC2j0OmMjHnWtdCxMJcuTK3gu3Wm6Hu+JEg5bPry8xDP3fiKpxJS/vFQGHXr/G4KMZE7nU78IWln+5sFlLP+TKLQqlfrMIgU
PdFD4rKDi52/sO2eYYPMGOQdLgpCfguL4BbqYOCJzTlu8gAzDYsVtSJ8vLnY4qdPt4mJFsrlgwh7Sy1NeKSiY8ZrytF58fbtlgK7p8V/aqYVb0cLuqS3KaQPfUV4EQmO
4/dnDsNkD7Ni+pL5++jnYgN5uWVk6wvhgQ36z7eccnV7y0QZsr7D2p68a539BjL6sXV++NtFvd+0FugTw2eZxYBlLXVZOEtNjT5RGb1s3TCx1zZPh3l+ZhwlKTjmmqND
SoNoUCvacJE1UAZbBsEFUqRRNKHEWSKjH2oAlethAjBm/jTFuCoRJjq4HiVVUNAvMhqp+BGCCpOGangDE8yRX8inh3cgxiUQ+vpADybUPOEo0sc23jyrI4DkDhYbDNMJ
aBgK8NAfuFWjlgaoJeBycA3zerW6V1tkyD42l0KOOpbLAsZrsJJFdwxC5yMBhZL/5BETt4p4WeTJ6vnyyAHLnQtBCbkD/kgnnxeOmJ7Xg/0T8oEfFAmtO2b9tbw3VjhK
GW+MEvCTrnAf+SThNNSdphZoBjabgoAD7f76C9d51H533DodvO92Ts9BUTthFILwgRc4TP0bng0qzPkXEd6SbeCNIOZ03CCQqfrREq/oCI38dXu7SlOwlkTSS65m514p
C10ywqn1E3erzIlh0ruxbmeFdOTyH12hU0FbjGAh3q3TR2gGCxRcA8tNwakgEwlTw4cBJQSoh7HMZnWId3cyJjvqHH5odweHndP3x786YojCGCfDDXwMV4lQrciRgrHA
2cJJjZy/4gDU1khHrVwWEDD9sMS8+2DgiWZiep3cYozyhsSCVaTYOTlqd5sQZaQYFqmtKrj7t346xuQ92q2K9H5QAaEBTtAdB2eufdgtJdkeoBYDBUiIbG7a2wspRwIG
g/BQZhqwI2rgXtW7jntVsLq9ajkPcrd6uS/Rq8o8BIwDJ3CdK7KQPTJ9qXkemeO1osulI7GQ/ABTQbQdg6T4iA9rEQIQAByqA4WuXPfgC55Y1V416tVfwVmYpeMo9r8T
zYSNL82L5rJWjAGEO+CujiPfQGAOvhhQS+9P8VJbOZaFrgWiOmwbiYprqG4jEiYAEmkr9Nawk7FKL+WFzA3EKzGac3QbmuLVaOLLYrFAJ0IAyCIEzBbYgm+q6HssBZwy
062sVRDNQCl5UuTpTayH5CfPtKqDBewgOXbsirA+9q/GaXYcKeBRGBu4se6N+5jvEt1sy17gYdG1FG/sidIGLQ7JKj7Zl3eW79nhTcAtsfeD9sRNUn84eIep2MFZCmH5
wPS9FYtUq1brDc0kIadeMpNmFP7COisEQ4qSvMsMuSxTHRBIY5Sm4BegJOdao1bdzRUGGJ2cuDgfskNZJ69XIO8We+Kgb6r3+AYNiDG6xP2+ZqoAMuYzB54QX2qYhTSU
rICY/4mGQXEwnp9THoWgUyv1YxYYOHA78LAoBBfzphJGycz34MelwF+OKKbgGwVfROaz52SYMF2O6rSMjh/4ePA60ha1Ri3/czwO0G9W0+c2b3kDNWUsaWMomiET6ikm
AdhWuVLgxZUsE5AZWQtcUxxc3CX5oTxJmNVi1jFIQZI+H8GkHr5pYJdeMY23xBxZ3ldkWAZyMSWR3qGwAoL5MLqMvDuGWb8E04lBSe14lp1atybSXKrFKLoMj5APAxMI
fAzyhAQhBBWIk3N4y6xbXIKRH4moZRCUCk2DbxkktU/DcRB5bL9WK/Ihcs+aMyIbRqecPg/HqHhNURfQlL9r+kpdV0BU6rzff/u30O1o+MrK34AddtF1G/kTcPCYgQkV
56ttyioIM9vBmeDvgmLNufXFCrm1ZA7JrMTi6PjsQ5PKSyhxqupZklnMoQm8qjQ/liGGg7fLyTVy2pSi9LUuPfRzzLfk2wgula6N7tnBJ0zaF9XkKt5oGsIItgtCCRFb
iCIDqT4T16eaCOAiAmcUJ22ISUlljilkHLJ67cXL3f09gf19lo2qYTbqdgg9tghdOhl6aFDeT32gXdnQNcaatRCDJlHAqZCosBCxK1KJZGEb2k4rYLW1pP5p+dJgCxaQ
Kr4YWJLpggn8IV8Xl+lGUDNIRVeDrePLgl7XWWCtvRMYgPYc+aEXoAqH7T/rfO4etouqbCM3xjSkKBjW5DHbotNNDdcIJukjNqNofdcM9IlGIOC0nw+BWR/wq5MS5UTR
0bbcF3X68bcDKLE+mT1A26LiPOuWWYcy4LE+n7W7yPpLGW57p8GsP9lRt/NpnUEuwDr+x7D0WHLt4YVGxiGYO1H5lNX/JCVtYzIWBirNMHdElQggYE6plDlQfjJIQJcW
DQg0qoOGZT5WIOrKVijgwm9XJ4NZyc7bjRVvStlzASm3vNiwdNS+SdUWwtVGZ0RNprL0MnbjK/PFs1ClKsQCpV53M86iakWK70ThI3GrsIMV5WqTHkJektEGRSYusFhp
Pq+eoSWrdmdhCKtYYPQDai+NZxzFoUfEEqlQOiPUDoS1RnWUq/ejA1kDgeU2PjdXkrX7/axkYZidhHa6EOk11WFjxhQHyDBUoZnFs7H0s4uZKyE+lpXeTbXhaHWVOwvK
VpncdUdOGdsUNOiUwocpBidrCPjJ95B4ksJz6IZnh+jikKmxOLOx2s424QvVSpmyWDCnQcZcxbQKleWAo2sul5JkS1i10XIoZiNGN491JHb4ae+ERhGDlEpLJQZS0BVb
avKN+E/zvJEQLbnXdMx8JsswP7ohMEUsEwB5aiI7ickyAzLml3VDgRz36CvG+2KiL1Q2ZMx7hng/9npGs2eYoj+m1reyHPlblRRfSonL8F0lvffyoifwIWRVmASoPIC0
KKQyXbyuburVCgjd2PMU40kshTBWEuyZIpHkzXLOpQRzEpiIuIrdgDxyvnxETNYtP2I6WDrZw+oeng3h1eDPfIcALhiNQFX/YVLNw5hMec7WVf4Y5A65rFg1SFsSBCdj
RtBreMoKDOzD7yS6srzYv+ExSTsmP3l6G0EMIV/pAGnZYcdTWtezyP21rKE7BRggS62TE6nYLCs7XIumKcACsLcWbPQN+KNXaAWtgAdRfMd26w1AxQLhTayJH4CK3nuB
X4U3hJrGwXrcShIPneUwoeIlqWNDlMVtDFLtqjo6MDI0HoQjSSRAAE3sfKxlwU7FdyIHgIBzjwF6pXY0VEcThU0TPoQWnS47tsB+Uu/q9QMr4VwTtZzYtewIKQuIZmFB
dQLvcc+ZoeoUW1O50p4DrLatIVeo9HvOT7Il54uij5TpdFDEfwIhWPVQ5LMOA4+BpRV5L0GVR1OvupCuLdQo1LG8Zq/LS6V0WdmrFtBKn92RVs+QczoKIZjnwaLol3lR
tKAJhm1YSA3kxAqx5EGhwaoKOqjP1L5FjEBterxtWX7opyQlosrcndzikTlIBajsrKJjxe4optWEko4uKYgTzShNWAWS+N+5U68FS83Y09nJAbmXHPz5pRO16jqSPthZ
KzXWa2h+NIcsNzbLydht7O4ls0BkOZSvds+GQAKMEK363pYmsEIt1Hd39oLs1Upu3WnWpukK0B7LCuiHqkfN9BOaLQ2mo4Rh1XiTZKm+v79fIdLDkoK8g6aChpiVbJok
mD/WQj+pzf6JHquouv6cttPZ5cRPxuxl7WWtiX+Kqg6+ZIrOGgoRlRcCjMz/MJXYLGk79urNM+sRlSd9xYL7AqLBvcfUnfQ0pMpTHvayv+wsZ7tkvKmF2gqfl+B7Zbdw
CrktVAOajlIBZDFA+rlwRuqiZZddC11U4PIz4YqkBCgOVUiqHaWunA6LlevRVCEznZ2iaU7CA7o4S8FlobXUmzy8wloBaqYKN/cK65ku76g6bhpN/OEdXXSRyVA6pIjE
ZYpCXeEUU1DyRF7l83T//5gc/yV3+CWW42c7KDet9FPxAwS05TJOKrJq+smzCghQWT/k1K9xyh/j65KsWZU5G4qFtdszBsYrIuuGxbfLR2OPppHUPRkBYzlDUAjH1ySK
xOgPx6ArVwEsJVyQhQGA5MxcDsEWLquvH8gd7lp+giO7lDJeuOZT5E/8QasLVnnkrKSFM90mTtWgz8S9csJoFGEhegU8VrrOxS4Tp/4RNgfmcF4UDgxUUhPnoWhrXtpe
k4IU26uC4CWPDXgZaVLaWJvXB1V2w0NLP/1T9U3TNDvD46GX1+aO5U0+6f8BW8bR7Gosri0SaT0/BqcMDKE6cnYZdMR7f3iBbOze4Ll2ikU918kG+6d74MXuKNXNUoHc
eCYiq6F/tN43oNkQ1gprisrtOfiOWRc6TVh/KCBh6AXWsumHnLFWVNd73Ui4S3d4XcoTjBQ8YxeUZqxDplumWa5R+sgFR1xkzhGXWeJQ6ISKBnW4uHEltKVTU9oBW6Mo
cEYQEFKyXnSj5Aj0ikXWCJ5QWqlJ+aSUm5NHBX8rwVAITH6uzkdm4sTi1Pm4KCATS81WmS1RLRBXR6ofXXqllYUjkuvmMwKyWLCits5f8abuIZbaUVtXzHGIjKv3OhNT
tgqNnc7HD0Q70SjDl2M0xdIeqK0AMlLREJ4Hz5VXAl4j+N8Lgz3fTFZUSLmsVvlGlZ7k+6qnTuWOaqZG7XFdMIeZ33PVT/EkdUFDSU4onuEp9qgrDlMGBsci4Z/ITKPY
M8lD9XxHFfq56lsJeeg2GJaqU3oxX7HFXuGSwfel83kILrWMH1pJdhWDybFceewgL+TSkRFVeGMdEfEfKGu8B3bpJhxj/lsg5epNKrVUUz4Y4mqnY+JfeFH0NOUDNUlp
M9UTNGabLR+gCeXPFLRRPrIWba7xNA39isJPX4XIo1MQh2wiFcGu5Hqhe7YX8kGrVlLF23iJBEtbGjsVvFx9eZfyhG4c6NfkxYViUPoQQ/H/FyeryBupqH6nG0nGChvk
Oyz2fQjIAq5yLfhJrqWYDqMSKwyPxXU3uhEpM9bqWjlGuRVqmUThFV4WoFvXeGAdC+U9iaLrBOzhNZrKPPdWKIwVwOUUDuCC195KWPkqaq4GVr9ENQlTEX+nChvUaKL8
vs1Kif2VGRdfjf5zo8mMcnW+V1lsGZW3JlXdlwqutroXL41UwTiuK9Kl+TKvLxOM2q4nhMOcP6UuC7yFhg+ikoQesdAHf22qarZ7BtV0rX7qwZ/F34FPVbug77DW14pn
eSC/Z209XGusFavRK6ozuS50dcVWiLuIgsoXv/TFjUQaDijjj20rRGyiK/4PBYzFgfJsV69h4iAdady1Nl6aSK4trDifv6ws7r9F37DMrm/le2/1xRd3Ol1tbR1/d2lw
owZvvd6luIS3V6k3Fk36sKM+fDzt9EXXRqXxctHrVeltt5I/N3YrC1stxr4SXrtdvnh32eduDMK2dfH1oplM3SFv9ntGqdJ/fl++OE/7VDx3f/Hhug98q3d6Br36z4H/
eo0cLuiQ/wPPModV40MAAA==
END
# shellcheck source=src/openclaw_hosted/adapters/aws/machine/openclaw-machine.sh
. /var/lib/openclaw/openclaw-machine.sh
readonly IMAGE='place-image' SECRET='place-deployment/oc-00000000' ID='oc-00000000' WAIT_SECONDS=1800 LONGEST_PAUSE=10
IFS= read -r CONFIG <<'END'
{"patch":{"secrets":{"providers":{"platform":{"source":"file","path":"/run/openclaw/secrets.json","mode":"json"}}},"gateway":{"mode":"local","bind":"lan","port":8080,"auth":{"mode":"token","token":{"source":"file","provider":"platform","id":"/gatewayToken"},"rateLimit":{"maxAttempts":10,"windowMs":60000,"lockoutMs":300000}},"controlUi":{"basePath":"/oc-00000000","allowedOrigins":["place-origins"]},"trustedProxies":["place-proxies"],"http":{"endpoints":{"chatCompletions":{"enabled":true}}}},"plugins":{"load":{"paths":["/opt/oc-hosted"]},"entries":{"admin-http-rpc":{"enabled":true},"oc-hosted":{"enabled":true},"bonjour":{"enabled":false},"browser":{"enabled":false},"canvas":{"enabled":false},"cua-computer":{"enabled":false},"file-transfer":{"enabled":false},"geolocation":{"enabled":false},"github":{"enabled":false},"linux-node":{"enabled":false},"ollama":{"enabled":false},"talk-voice":{"enabled":false},"xai":{"enabled":false}}},"browser":{"enabled":false},"agents":{"defaults":{"heartbeat":{"every":"0m"},"model":{"primary":"echo/echo"}}},"logging":{"consoleStyle":"json","file":"/tmp/openclaw.jsonl"},"update":{"checkOnStart":false},"models":{"mode":"merge","providers":{"echo":{"baseUrl":"http://127.0.0.1:8080/api/v1/oc-hosted/echo","apiKey":{"source":"file","provider":"platform","id":"/gatewayToken"},"api":"openai-completions","models":[{"id":"echo","name":"Echo","reasoning":false,"input":["text"],"cost":{"input":0,"output":0,"cacheRead":0,"cacheWrite":0},"contextWindow":128000,"maxTokens":4096}]}}},"channels":{}},"prune":["models.providers","channels"]}
END

within() { # COMMAND...: again and again, ever more slowly, until it succeeds
  local until=$((SECONDS + WAIT_SECONDS)) pause=1
  until "$@"; do
    ((SECONDS < until)) || return 1
    sleep $pause
    ((pause >= LONGEST_PAUSE)) || ((pause += 1))
  done
}

reserved() { # the tag that the machine was launched with, or got when it was adopted
  instance=$(oc_imds tags/instance/ReservedInstanceId) && [[ $instance == oc-* ]]
}

own_volume() { # the first EBS disk that does not hold the root
  local disk
  for disk in /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol*; do
    [[ -b $disk && $disk =~ _vol([0-9a-f]+)$ ]] || continue
    lsblk -nro MOUNTPOINT "$disk" 2>/dev/null | grep -qx / && continue
    volume=vol-${BASH_REMATCH[1]}
    return 0
  done
  return 1
}

started() { # the secret becomes readable after the launch only; what can't change ends the waiting
  openclaw_machine start "instance=$instance" generation=0 "volume=$volume" fresh=1 "image=$IMAGE" "secret=${SECRET//$ID/$instance}" \
    "config=$(base64 -w 0 <<<"${CONFIG//$ID/$instance}")"
  local code=$?
  case $code in
    0 | 3) return 0 ;;
    2 | 4) exit $code ;;
    *) return 1 ;;
  esac
}

oc_environment
within openclaw_machine prepare "image=$IMAGE" || exit 7
within reserved || exit 8
within own_volume || exit 5
within started
