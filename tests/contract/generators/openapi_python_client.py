"""A player's way through the system by the clients of openapi-python-client: account, session, submission, board."""

import json
import sys

from auth_client import Client
from auth_client.api.accounts import login, refresh, register
from auth_client.models import Keeper, LoginCredentials, NewAccount, Registered, SessionToken, Tokens
from leaderboard_client import AuthenticatedClient
from leaderboard_client.api.leaderboard import rank, submit, top
from leaderboard_client.models import ProblemDetails, ScoreSubmission, SubmittedSession, TopPage

url, username, password = sys.argv[1:]

client = Client(url)
registered = register.sync(client=client, body=NewAccount(username, password))
assert isinstance(registered, Registered)
credentials = LoginCredentials(username, password, session=Keeper.TOKEN)
tokens = login.sync(client=client, body=credentials)
assert isinstance(tokens, Tokens)
renewed = refresh.sync(client=client, body=SessionToken(str(tokens.refresh_token)))
assert isinstance(renewed, Tokens)

player = AuthenticatedClient(url, renewed.access_token)
stored, again = (submit.sync(client=player, body=ScoreSubmission(1200), idempotency_key="one") for _ in range(2))
assert isinstance(stored, SubmittedSession)
assert isinstance(again, SubmittedSession)
assert again.session_id == stored.session_id
page = top.sync(client=player, limit=100)
assert isinstance(page, TopPage)
problem = rank.sync(2**40, client=player)
assert isinstance(problem, ProblemDetails)
assert problem.type_ == "urn:problem:player-not-found"
json.dump([row.to_dict() for row in page.top if row.user_id == registered.user_id], sys.stdout)
