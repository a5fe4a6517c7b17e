"""Who is told of alarms, and who sends mail, as the settings say."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw_hosted.adapters.alarms_email import EmailChannel
from openclaw_hosted.adapters.alarms_telegram import TelegramChannel
from openclaw_hosted.adapters.alarms_webhook import WebhookChannel
from openclaw_hosted.adapters.mail import MailServer, SmtpMailer
from openclaw_hosted.adapters.webhooks import HttpWebhooks
from openclaw_hosted.choices import SettingsError
from openclaw_hosted.domain.alarms import Limits
from openclaw_hosted.ports.alarms import AlarmChannel
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.settings_operating import OperatingSettings


def alarm_channels(settings: OperatingSettings, sender: HttpWebhooks, clock: Clock) -> Sequence[AlarmChannel]:
    """All that are set up; none for none. Raises `SettingsError`."""
    channels: list[AlarmChannel] = []
    mail = mailer(settings)
    if settings.email_to and mail is not None:
        channels.append(EmailChannel(mail, settings.email_to))
    if settings.telegram_token is not None and settings.telegram_chat is not None:
        channels.append(TelegramChannel(settings.telegram_token.get_secret_value(), settings.telegram_chat, settings.telegram_api))
    if settings.webhook_url is not None and settings.webhook_secret is not None:
        url = settings.webhook_url.get_secret_value()
        if not sender.allows_private and not url.startswith("https://"):
            raise SettingsError("ALARM_WEBHOOK_URL: give an address that begins with https://, or set ALLOW_PRIVATE_WEBHOOKS=true.")
        channels.append(WebhookChannel(url, settings.webhook_secret.get_secret_value(), sender, clock))
    return channels


def mailer(settings: OperatingSettings) -> SmtpMailer | None:
    """Who sends mail; None where there is no mail server, or no sender to name."""
    sender = settings.email_from or next(iter(settings.email_to), None)
    if settings.smtp is None or sender is None:
        return None
    return SmtpMailer(MailServer(*settings.smtp_parts, authority=settings.smtp_authority), sender)


def alarm_limits(settings: OperatingSettings) -> Limits:
    """From where on alarms are on, but for the number of spares."""
    return Limits(budget_usd=settings.budget_usd, launch_failures=settings.launch_failures, budget_stops=settings.budget_stops)
