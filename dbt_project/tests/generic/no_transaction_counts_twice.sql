{# An identifier names one transaction. Only of few is each looked at alone: after an increment of those whose copies it looked at, else of
   those among 32 neighbouring numbers of which fewer are different than there are. All of them side by side do not fit in memory. #}
{% test no_transaction_counts_twice(model) %}
select transaction_key, transaction_id_text, count(*) as transactions
from {{ model }}
{%- if neopulse.builds_on_the_last_run() %}
where transaction_key in ({{ neopulse.transaction_keys_to_look_at(neopulse.before('repeated_transactions')) }})
{%- else %}
where {{ neopulse.bucket('transaction_key') }} in (
    select {{ neopulse.bucket('transaction_key') }}
    from {{ model }}
    group by {{ neopulse.bucket('transaction_key') }}
    having count(*) > bit_count(bit_or({{ neopulse.bit_in_bucket('transaction_key') }}))
)
{%- endif %}
group by transaction_key, transaction_id_text
having count(*) > 1
{% endtest %}
