-- of identifiers that are no numbers the key is a hash: two that share one would be one customer
select customer_key, count(distinct user_id) as customers
from {{ ref('customer_accounts') }}
where customer_key < 0
group by customer_key
having count(distinct user_id) > 1
